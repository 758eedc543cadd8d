"""Commands flush denormal numbers in all threads; importing the package and generating do not."""

import subprocess
import sys

import pytest

COUNT = """
import torch
torch.set_num_threads(2)
def left():
    return int(torch.count_nonzero(torch.full((1 << 22,), 1e-39) * 0.5))
"""
TRAIN = """
from sequnet_pl.cli.train import train
try:
    train(["--model", "sequnet", "--print_config"])
except SystemExit:
    pass
print("left", left(), left())
"""
GENERATE = """
import sequnet_pl
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.sampling import generate
generate(SeqUNet(2, 2, 1, 3), seconds=0.001)
print("left", left(), left())
"""


@pytest.mark.parametrize(("code", "left"), [(TRAIN, 0), (GENERATE, 1 << 22)])
def test_both_threads_of_a_warm_pool_flush_after_a_command(code, left):
    done = subprocess.run([sys.executable, "-c", COUNT + code], capture_output=True, text=True, timeout=300)
    assert f"left {left} {left}" in done.stdout, done.stderr
