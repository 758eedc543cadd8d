"""Help is printed before torch is imported. Commands that are printed name the command that was typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from sequnet_pl import project
from sequnet_pl.cli.entry_points import sequnet_train

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


def help_of(folder, name):
    """Print the help of a script of the clone, or of what pip makes of the commands in pyproject.toml."""
    script = ROOT / name
    if not script.suffix:
        script = folder / name
        function = name.replace("-", "_")
        script.write_text(f"import sys; from sequnet_pl.cli.entry_points import {function}; sys.exit({function}())")
    code = RUN.format(root=str(ROOT), script=str(script))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("train.py", "usage: python train.py [fit|validate|test]"),
        ("sample.py", "usage: python sample.py [options]"),
        ("sequnet-train", "usage: sequnet-train [fit|validate|test]"),
        ("sequnet-sample", "usage: sequnet-sample [options]"),
    ],
)
def test_help_needs_no_torch(tmp_path, name, command):
    done = help_of(tmp_path, name)
    assert command in done.stdout
    assert (done.returncode, done.stderr) == (0, "False\n")


@pytest.mark.parametrize("name", ["train.py", "sequnet-train"])
def test_errors_start_with_the_command(monkeypatch, capfd, name):
    monkeypatch.setattr(sys, "argv", [name, "--model", "sequnet", "--levels", ""])
    with pytest.raises(SystemExit, match="2"):
        sequnet_train()
    sys.stderr.flush()  # which Python does when it ends
    assert capfd.readouterr().err.startswith(f"{name}: error: --levels has an empty value")


@pytest.mark.parametrize(
    ("script", "typed", "again"),
    [
        ("train.py", "python train.py 'my folder'", "python train.py test 'my folder/last.ckpt'"),
        ("bin/sequnet-train", "sequnet-train 'my folder'", "sequnet-train test 'my folder/last.ckpt'"),
    ],
)
def test_commands_that_are_printed_can_be_typed(monkeypatch, script, typed, again):
    monkeypatch.setattr(sys, "argv", [script, "rewritten"])
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3", script, "my folder"])
    assert project.this_command() == typed
    assert project.command("train", "test", Path("my folder/last.ckpt")) == again
