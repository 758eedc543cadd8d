"""The benchmark of crops runs, on a store of a few megabytes."""

import json
import subprocess
import sys
from pathlib import Path


def test_it_measures_all_ways_and_writes_them_down(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "store"
    options = ["--gigabytes", "0.02", "--batches", "3", "--repeats", "1", "--folder", folder]
    command = [sys.executable, "-m", "benchmarks.crops", *map(str, options), "--json", str(tmp_path / "crops.json")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "crops.json").read_text())["rows"]
    assert len(rows) == 5
    assert all(figure > 0 for row in rows.values() for figure in row.values())
    assert "one worker delivers 500 batches a second" in " ".join(done.stdout.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops.json", "new"]
    assert not list(folder.iterdir())
