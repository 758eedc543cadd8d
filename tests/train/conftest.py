"""train.py in the process of its tests."""

import signal
import sys

import pytest
import torch

from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.train import train


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Run train.py in this process: exit status and what stood on stderr."""

    def run(line, *more, defaults=True):
        if defaults:
            line += f" --gpus 0 --log_dir {tmp_path}/logs --data_dir {tmp_path}/data --num_workers 0"
            line += " --sample_audio.every_n_epochs 0" * ("sample_audio" not in line) + " --logger none" * (
                "--logger" not in line
            )
        monkeypatch.setattr(sys, "argv", ["train.py"])
        try:
            status = run_main("train.py", train, [*line.split(), *more])
        except SystemExit as end:  # Lightning's own, after Ctrl-C
            status = end.code
        captured = capfd.readouterr()
        return status, captured.err, captured.out

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only wait for each other in networks as small as these
    yield run
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.default_int_handler)
