"""The store benchmark runs, alone and beside another version, and writes what it has measured."""

import json
import sys
from pathlib import Path

from benchmarks import store

ROOT = Path(__file__).parents[2]


def test_a_file_beside_another_version(audio_folder, tmp_path):
    files = sorted((audio_folder / "train").glob("*.wav"))[:1]
    options = ["--repeats", "1", "--other", str(ROOT), sys.executable, "--json", str(tmp_path / "rows.json")]
    store.main(["--audio", *map(str, files), *options])
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["file"] == files[0].name
    assert min(row["hours"], row["wall_seconds"], row["processor_seconds"], row["peak_mb"]) > 0
    assert row["processor_time_of_other"] > 0
