"""Whether the kernel or CUDA graphs are taken for a network on a GPU."""

import copy

import pytest
import torch
from emulator import COMPILER, Emulator

from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.sashimi import SaShiMi
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.sampling.draw import SamplingParams
from sequnet_pl.sampling.engines import persistent
from sequnet_pl.sampling.engines.base import warn_once
from sequnet_pl.sampling.generate import start

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no g++ here")


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(persistent, "_device", lambda device: Emulator(2))
    warn_once.cache_clear()


def taken(network, clips):
    """The engine that draws a block for so many clips."""
    engine = persistent.cuda_engine(network, "float32", 1)
    taken = []
    for name, one in (("kernel", engine._kernel), ("graphs", engine._graphs)):
        one.sample_block = lambda *_, name=name: taken.append(name)
    engine.sample_block(None, torch.zeros(clips, 1), SamplingParams())
    return taken


def test_the_number_of_clips_decides():
    network = WaveNet(1, 1, 3, 7, 20, 4)
    assert taken(network, 1) == taken(network, 8) == ["kernel"]
    assert taken(network, 9) == ["graphs"]
    assert persistent.cuda_engine(network, "float32", 8).name == "cuda"
    assert persistent.cuda_engine(network, "float32", 9).name == "graphs"


def test_reduced_weights_are_for_the_kernel():
    network = WaveNet(1, 1, 3, 7, 20, 4)
    assert persistent.cuda_engine(network, "bf16", 8).name == "cuda"
    for clips in (9, 1):  # known before, or not
        with pytest.raises(UsageError, match="8 clips at once at most, not 9"):
            persistent.cuda_engine(network, "bf16", clips).sample_block(
                start(network, None, 9), torch.zeros(9, 1), SamplingParams()
            )
    with pytest.raises(UsageError, match="float32"):
        persistent.cuda_engine(network.double(), "bf16", 1)


def test_a_network_that_does_not_suit_takes_graphs(monkeypatch, caplog):
    network = WaveNet(1, 1, 3, 7, 20, 4)
    assert persistent.cuda_engine(copy.deepcopy(network).double(), "float32", 1).name == "graphs"
    monkeypatch.setattr(persistent, "_device", lambda device: Emulator(2, shared=4000))
    assert persistent.cuda_engine(network, "float32", 1).name == "graphs"
    assert not caplog.records


@pytest.mark.parametrize("network", [SaShiMi(4, 1, 4), SeqUNet(3, 4, 1, 3, state=4)])
def test_the_kernel_refuses_recurrences_and_graphs_take_over(network, caplog):
    assert persistent.cuda_engine(network, "float32", 1).name == "graphs"
    assert not caplog.records
    with pytest.raises(
        UsageError, match="SeqUNet without state-space blocks and WaveNet in float32; take --engine graphs"
    ):
        persistent.cuda_engine(network, "float32", 1, required=True)


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch, caplog):
    network = WaveNet(1, 1, 3, 7, 20, 4)
    real = persistent.kernel_engine

    def wrong(network, weights):
        other = copy.deepcopy(network)
        with torch.no_grad():
            other.end_2.bias[7] += 1
        return real(other, weights)

    monkeypatch.setattr(persistent, "kernel_engine", wrong)
    assert persistent.cuda_engine(network, "float32", 1).name == "graphs"
    assert "differ from those of WaveNet.step" in caplog.text


@pytest.mark.parametrize("error", [ImportError, RuntimeError, UserError])
def test_without_the_kernel_graphs_go_on_and_say_so_once(monkeypatch, caplog, error):
    def gpu(device):
        raise error("No module named 'cuda'")

    monkeypatch.setattr(persistent, "_device", gpu)
    network = WaveNet(1, 1, 3, 7, 20, 4)
    assert {persistent.cuda_engine(network, "float32", 1).name for _ in range(2)} == {"graphs"}
    assert [record.getMessage() for record in caplog.records] == [
        "no kernel for this GPU, sampling a single clip is several times slower: No module named 'cuda'"
    ]
    with pytest.raises(UsageError, match="No module named 'cuda'"):
        persistent.cuda_engine(network, "bf16", 1)
