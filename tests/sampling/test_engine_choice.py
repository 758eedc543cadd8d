"""Which engine samples where none is named, with which kernels and how many threads."""

import ctypes

import pytest

from sequnet_pl.errors import UsageError
from sequnet_pl.sampling.engines import build, engine_for
from sequnet_pl.sampling.engines.pace import Pace
from sequnet_pl.sampling.generate import generate


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


def test_without_a_compiler_sampling_goes_on_and_says_so(network, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    build.library.cache_clear()
    try:
        network.float()
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


def test_every_sample_is_dealt_out_once_and_the_quickest_number_of_threads_wins(monkeypatch):
    now = 0.0
    monkeypatch.setattr("sequnet_pl.sampling.engines.pace.perf_counter", lambda: now)
    pace, taken = Pace(), []
    for samples in (1, 10, 1600, 1600, *[1600] * 12):
        dealt = 0
        for count, threads in pace.pieces(samples, 2):
            now += count * {1: 1.0, 2: 3.0}[threads]
            dealt += count
            taken.append((count, threads))
        assert dealt == samples
    assert taken[:5] == [(1, 2), (10, 2), (64, 1), (64, 2), (1472, 1)]
    assert taken[5:].count((64, 2)) == 1  # another trial
    assert {threads for count, threads in taken[5:] if count > 64} == {1}
    assert list(pace.pieces(1600, 1)) == [(1600, 1)]
