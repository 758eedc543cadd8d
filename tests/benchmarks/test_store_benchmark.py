"""The store benchmark runs, and writes what it has measured."""

import json

from benchmarks import store


def test_a_row_of_a_file(audio_folder, tmp_path):
    files = sorted((audio_folder / "train").glob("*.wav"))[:1]
    options = ["--repeats", "1", "--json", str(tmp_path / "rows.json")]
    store.main(["--audio", *map(str, files), *options])
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["file"] == files[0].name
    assert min(row["hours"], row["wall_seconds"], row["processor_seconds"], row["peak_mb"]) > 0
