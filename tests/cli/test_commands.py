"""Help is there at once: before torch is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = """
import runpy, sys
sys.path.insert(0, {root!r})
sys.argv = [{script!r}, "--help"]
try:
    runpy.run_path({script!r}, run_name="__main__")
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("script", ["train.py", "sample.py"])
def test_help_needs_no_torch(script):
    code = RUN.format(root=str(ROOT), script=str(ROOT / script))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert f"python {script}" in done.stdout
    assert (done.returncode, done.stderr) == (0, "False\n")
