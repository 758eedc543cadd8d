"""How commands end: interrupted while they load, with a closed pipe, and on full disks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sequnet_pl.cli.main import run_main

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "train.py": ["train.py", "--model", "sequnet"],
    "sample.py": ["sample.py"],
    "evaluate": ["-m", "sequnet_pl.evaluate"],
}
PRINT_WAIT = "import os\nos.write(1, os.environ['OMP_WAIT_POLICY'].encode())\nos._exit(0)"


@pytest.fixture
def with_torch(tmp_path):
    """Run a command with the text of a module instead of torch."""

    def run(words, torch, **environment):
        (tmp_path / "torch.py").write_text(torch)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}:{ROOT}", **environment}
        return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, env=environment)

    return run


@pytest.mark.parametrize(
    ("name", "signal", "word", "status"),
    [
        ("train.py", "INT", "interrupted", 130),
        ("sample.py", "TERM", "terminated", 143),
        ("evaluate", "TERM", "terminated", 143),
        ("models.published", "INT", "interrupted", 130),
    ],
)
def test_ended_while_modules_are_imported(with_torch, name, signal, word, status):
    torch = f"import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIG{signal})\nexcept BaseException:\n    pass"
    done = with_torch(COMMANDS.get(name, ["-m", f"sequnet_pl.{name}"]), torch)
    assert (done.returncode, done.stderr) == (status, f"{name}: {word}\n")


@pytest.mark.parametrize(
    "words", [*COMMANDS.values(), ["-m", "benchmarks.training"], ["-m", "benchmarks.sampling", "--help"]]
)
def test_every_command_sets_how_threads_wait_before_torch_is_imported(with_torch, words):
    assert with_torch(words, PRINT_WAIT).stdout == "PASSIVE"


def test_how_threads_wait_is_left_as_set(with_torch):
    assert with_torch(COMMANDS["train.py"], PRINT_WAIT, OMP_WAIT_POLICY="ACTIVE").stdout == "ACTIVE"


def test_terminated(capfd):
    def command(argv):
        os.kill(os.getpid(), 15)

    assert run_main("name", command, []) == 143
    assert capfd.readouterr().err == "name: terminated\n"


@pytest.mark.parametrize("words", [["train.py", "--help"], ["-m", "sequnet_pl.data.store", "info", "{store}"]])
def test_a_closed_pipe_is_no_error(words, tmp_path, audio_folder):
    if "{store}" in words:
        from sequnet_pl.data.store import make_store

        make_store({"train": sorted(audio_folder.rglob("*.wav"))}, tmp_path, progress=False)
        words = [*words[:-1], str(tmp_path)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, *words], stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode in (0, 1, 141)  # rich ends with 1, and a run continues


def test_a_closed_output_is_no_error():
    code = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, 'train.py', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "train.py", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert done.returncode == 1
    assert done.stderr.startswith("train.py: error: cannot write the output: No space left on device")
    assert done.stderr.count("\n") == 1
