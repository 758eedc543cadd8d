"""Shared by all tests: one thread, for several test processes on few cores, and the small networks."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
from browser import CHROMIUM, Browser
from tones import tone

from sequnet_pl.cli.entry_points import train
from sequnet_pl.cli.main import run_main
from sequnet_pl.models.network import Network
from sequnet_pl.models.sashimi import SaShiMi
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet

torch.set_num_threads(1)  # more wait for each other, which takes most of the time in networks this small
# a shell that starts the tests in the background has them ignore Ctrl-C, which some of them send
signal.signal(signal.SIGINT, signal.default_int_handler)

NETWORKS = {
    "sequnet-l4-d2-k5": lambda: SeqUNet(4, 6, 2, 5),
    "sequnet-l5-d312-k3-h9": lambda: SeqUNet(5, 4, [3, 1, 2], 3, head=9),
    "sequnet-l2-d3-k7": lambda: SeqUNet(2, 5, 3, 7),
    "sequnet-norm": lambda: SeqUNet(4, 5, 2, 5, norm=True),
    "sequnet-memory": lambda: SeqUNet(4, 6, [2, 1], 3, state=4),
    "sequnet-memory-norm": lambda: SeqUNet(5, 4, 1, 5, norm=True, head=7, state=6),
    "sequnet-l1": lambda: SeqUNet(1, 4, 2, 3),
    "wavenet-4x2": lambda: WaveNet(4, 2, 6, 5, 9),
    "wavenet-3x3-k3": lambda: WaveNet(3, 3, 4, 4, 6, 3),
    "sashimi": lambda: SaShiMi(4, 2, 6, head=5),
    "sashimi-no-norm": lambda: SaShiMi(6, 1, 4, norm=False),
}


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """No test sees what the code under another one has set, as a run sets where W&B keeps its files."""
    with mock.patch.dict(os.environ):
        yield
    torch.set_flush_denormal(False)  # which commands set for their process


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys())
def network(request: pytest.FixtureRequest) -> Network:
    """Each small network in turn, float64, with weights large enough that a wrong phase shows."""
    torch.manual_seed(0)
    network = request.param().double()
    for parameter in network.parameters():
        parameter.data *= 2
    return network


@pytest.fixture
def unprivileged() -> list[str]:
    """What to put before a command, so that permissions bind it where the tests run as root."""
    if os.geteuid():
        return []
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("permissions do not bind root, and no setpriv can change that")
    return command


@pytest.fixture(scope="session")
def audio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings with train/, val/ and test/, of lengths that fill no window."""
    folder = tmp_path_factory.mktemp("audio")
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        for number in range(count):
            tone(folder / split / f"{number}.wav", 0.31 + 0.17 * number, 220.0 * (number + 1))
    return folder


@pytest.fixture
def run_train(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Run a command line of train.py in this process; return its exit status, and its output or its line of error."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def run_train(line: str) -> tuple[int, str]:
        capfd.readouterr()
        try:
            status = run_main("train.py", train, shlex.split(line))
        except SystemExit as end:  # after --print_config
            status = int(end.code or 0)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        lines = [text for text in err.splitlines() if text.startswith("train.py: error: ")]
        assert len(lines) == (status > 0), err
        return status, lines[0] if lines else out

    threads = torch.get_num_threads()
    yield run_train
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.default_int_handler)
