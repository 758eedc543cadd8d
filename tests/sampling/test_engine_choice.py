"""Which engine samples where none is named, with which kernels and how many threads."""

import ctypes
import shutil
from types import SimpleNamespace

import pytest
import torch

from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.layers import CodeConv
from sequnet_pl.models.sashimi import SaShiMi
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.sampling.draw import SamplingParams
from sequnet_pl.sampling.engines import Block, EagerEngine, build, engine_for
from sequnet_pl.sampling.engines.base import checked, warn_once
from sequnet_pl.sampling.engines.graphs import GraphsEngine
from sequnet_pl.sampling.generate import generate, start


def test_choice_of_an_engine(network):
    assert engine_for(network).name == "eager"  # float64
    network.float()
    assert engine_for(network).name == ("native" if build.library() else "eager")
    assert engine_for(network, "eager").name == "eager"
    for name in ("fast", "cuda", "graphs"):
        with pytest.raises(UsageError):
            engine_for(network, name)
    for name, weights in (("auto", "int4"), ("eager", "int8"), ("eager", "bf16"), ("cuda", "bf16")):
        with pytest.raises(UsageError):
            engine_for(network, name, weights)
    with pytest.raises(UsageError, match="float32"):
        engine_for(network.double(), "native")


def test_without_a_compiler_sampling_goes_on_and_says_so(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    build.library.cache_clear()
    try:
        network = SeqUNet(3, 6, 1, 3)
        assert generate(network, seconds=0.001).shape == (1, 16)
        generate(network, seconds=0.001)
        assert [record.getMessage() for record in caplog.records if "compiler" in record.getMessage()] == [
            "no compiled CPU kernels, sampling is several times slower: "
            "there is no C++ compiler (a C++ compiler such as g++ is needed)"
        ]
        with pytest.raises(UsageError, match="compiler"):
            engine_for(network, "native")
    finally:
        build.library.cache_clear()


@pytest.mark.skipif(build.library() is None, reason="there is no C++ compiler here")
def test_kernels_are_compiled_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "env " + next(filter(shutil.which, ("g++", "clang++", "c++"))))  # as with ccache
    build.library.cache_clear()
    try:
        assert isinstance(build.library(), ctypes.CDLL)
        (made,) = (tmp_path / "sequnet_pl").iterdir()
        stamp = made.stat().st_mtime_ns
        build.library.cache_clear()
        build.library()
        assert [path.stat().st_mtime_ns for path in (tmp_path / "sequnet_pl").iterdir()] == [stamp]
    finally:
        build.library.cache_clear()


@pytest.mark.skipif(build.library() is None, reason="there is no C++ compiler here")
def test_a_block_runs_on_the_faster_number_of_threads(monkeypatch):
    network = SeqUNet(3, 6, 1, 3)
    engine, now, drawn = engine_for(network, "native"), 0.0, []
    monkeypatch.setattr("sequnet_pl.sampling.engines.native.perf_counter", lambda: now)

    def draw(session, uniform, params, threads):
        nonlocal now
        now += uniform.shape[1] * {1: 1.0, 2: 3.0}[threads]
        drawn.append((uniform.shape[1], threads))
        return Block(uniform, uniform)

    program = SimpleNamespace(draw=draw, most_threads=2)
    monkeypatch.setattr(engine, "_program", program)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    engine._seconds.clear()
    for samples in (1, 10, 1600, 1600, *[1600] * 12):
        block = engine.sample_block(start(network, None, 1), torch.zeros(1, samples), SamplingParams())
        assert block.codes.shape[1] == samples
    assert drawn[:5] == [(1, 1), (10, 1), (64, 1), (64, 2), (1472, 1)]
    assert drawn[5:].count((64, 2)) == 1  # another trial
    assert {threads for count, threads in drawn[5:] if count > 64} == {1}


class OtherOutput(SeqUNet):
    def output(self, x):
        return -super().output(x)


def edited(network, monkeypatch):
    """The network's own class, whose forward and step were edited."""
    real = type(network).step
    monkeypatch.setattr(type(network), "step", lambda self, code, state: real(self, code, state).flip(1))
    return network


class BoundedCodeConv(CodeConv):
    def forward(self, *arguments, **named):
        return torch.tanh(super().forward(*arguments, **named))


def with_another_layer(network):
    network.start = BoundedCodeConv(5)
    return network


CHANGED = {
    "subclass": lambda _: OtherOutput(3, 6, 1, 3),
    "edited": lambda patch: edited(SaShiMi(4, 1, 4), patch),
    "replaced-layer": lambda _: with_another_layer(WaveNet(3, 2, 6, 5, 9)),
}


@pytest.mark.skipif(build.library() is None, reason="there is no C++ compiler here")
@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_changed_network_is_sampled_as_it_is(change, monkeypatch, caplog):
    warn_once.cache_clear()
    network = change(monkeypatch)
    for _ in range(2):
        assert engine_for(network).name == "eager"
    assert len(caplog.records) == 1 and "sampling by the eager engine" in caplog.text
    for name, weights in (("native", "float32"), ("auto", "bf16"), ("auto", "int8")):
        with pytest.raises(UsageError, match="native engine"):
            engine_for(network, name, weights)


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_graphs_of_a_changed_network_are_its_own_or_refused(change, monkeypatch):
    network = change(monkeypatch)
    sessions = start(network, None, 1), start(network, None, 1)
    try:
        engine = checked(GraphsEngine(network), network)
    except UserError:
        assert isinstance(network, WaveNet)
        return
    uniform = torch.rand(1, 20, dtype=torch.float64)
    own = engine.sample_block(sessions[0], uniform, SamplingParams())
    assert torch.equal(own.codes, EagerEngine(network).sample_block(sessions[1], uniform, SamplingParams()).codes)


def test_an_engine_that_cannot_run_a_step_is_not_used(monkeypatch):
    """As graphs cannot where a step copies from the CPU, which only a GPU shows."""

    def sample_block(*_):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCUDA kernel errors")

    network = SaShiMi(4, 1, 4)
    monkeypatch.setattr(GraphsEngine, "sample_block", sample_block)
    with pytest.raises(UserError, match=r"graphs engine cannot run SaShiMi\.step: CUDA error: .* capturing$"):
        checked(GraphsEngine(network), network)
