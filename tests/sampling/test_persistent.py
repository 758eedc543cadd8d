"""The kernel that stays on the GPU: its source on a CPU against the reference, and compiled."""

from functools import partial

import pytest
import torch
from emulator import COMPILER, Emulator
from nvrtc import nvrtc

from sequnet_pl.errors import UserError
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.sampling.draw import CounterRng, SamplingParams
from sequnet_pl.sampling.engines import engine_for
from sequnet_pl.sampling.engines.layout import Layout, Limits, kernel_schedule
from sequnet_pl.sampling.engines.persistent import PersistentEngine, compile_kernel
from sequnet_pl.sampling.generate import extend, start

no_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no g++ here")
NORMED = partial(SeqUNet, norm=True)
H100, SMALL = Limits(132, 227 << 10), Limits(28, 99 << 10)
NETWORKS = {  # each with what the emulated GPU has
    "sequnet": (lambda: SeqUNet(3, 6, 2, 5), Emulator()),
    "sequnet-little-memory": (lambda: SeqUNet(4, 5, 1, 3, head=11), Emulator(shared=10_000, seed=1)),
    "sequnet-one-level": (lambda: SeqUNet(1, 4, 1, 3), Emulator(4, seed=2)),
    "sequnet-several-warps-a-row": (lambda: SeqUNet(2, 9, 1, 3), Emulator(9, warps=5, held=2, seed=3)),
    "sequnet-long-rows": (lambda: SeqUNet(2, 24, 1, 5), Emulator(6, warps=4, seed=6)),  # more chunks than are held
    "sequnet-depths": (lambda: SeqUNet(4, 6, [3, 1, 2], 3, norm=True, head=13), Emulator(seed=11)),
    "sequnet-norm": (lambda: SeqUNet(3, 6, 2, 5, norm=True), Emulator(seed=7)),
    "sequnet-norm-little-memory": (lambda: SeqUNet(4, 5, 2, 3, norm=True), Emulator(5, shared=12_000, seed=8)),
    "sequnet-norm-one-level": (lambda: SeqUNet(1, 4, 1, 3, norm=True), Emulator(4, seed=9)),
    "sequnet-norm-long-rows": (lambda: SeqUNet(2, 24, 1, 5, norm=True), Emulator(6, warps=4, held=2, seed=10)),
    "wavenet": (lambda: WaveNet(3, 2, 6, 5, 9, 3), Emulator(seed=4)),
    "wavenet-one-layer": (lambda: WaveNet(1, 1, 3, 7, 20, 4), Emulator(2, warps=4, seed=5)),
    "wavenet-little-memory": (lambda: WaveNet(3, 2, 6, 5, 9), Emulator(shared=9_000, seed=12)),
}


def large(network):
    """With weights large enough that a wrong phase shows."""
    torch.manual_seed(0)
    network = network()
    for parameter in network.parameters():
        parameter.data *= 2
    return network


def drawn(network, engine, pieces, params=SamplingParams(), clips=1, labels=None):  # noqa: B008 (frozen)
    """The session after blocks of those sizes, and what they were."""
    prompt = torch.randint(256, (clips, 40), generator=torch.Generator().manual_seed(1))
    session, blocks = start(network, prompt, clips, labels), []
    for samples in pieces:
        blocks += extend(network, session, CounterRng(1, range(clips)), params, samples, engine)
    return session, torch.cat([b.codes for b in blocks], dim=1), torch.cat([b.nats for b in blocks], dim=1)


@no_compiler
@pytest.mark.parametrize(("network", "emulator"), NETWORKS.values(), ids=NETWORKS)
def test_the_source_equals_the_reference(network, emulator):
    network = large(network)
    pieces = [2 * network.cycle + 3, 1, 6]
    expected, codes, nats = drawn(network, engine_for(network, "eager"), pieces)
    engine = PersistentEngine(kernel_schedule(network), "float32", emulator)
    session, own_codes, own_nats = drawn(network, engine, pieces)
    assert torch.equal(own_codes, codes)
    torch.testing.assert_close(own_nats, nats, rtol=0, atol=1e-4)
    torch.testing.assert_close(session.logits, expected.logits, rtol=0, atol=1e-4)
    tensors: list[list[torch.Tensor]] = [[], []]
    for found, state in zip(tensors, (session.state, expected.state), strict=True):
        state.map(lambda tensor, found=found: found.append(tensor) or tensor)
    torch.testing.assert_close(*tensors, rtol=0, atol=1e-4)
    assert session.state.time == expected.state.time


@no_compiler
@pytest.mark.parametrize(
    "params",
    [SamplingParams(0), SamplingParams(0.8, top_k=7), SamplingParams(1.3, top_p=0.6), SamplingParams(0.9, 20, 0.9)],
)
def test_the_source_draws_as_the_reference(params):
    network = large(lambda: WaveNet(1, 1, 3, 7, 20, 4))
    list(network.parameters())[-1].data.zero_()  # else the bias of the logits alone decides on the likeliest code
    _, codes, _ = drawn(network, engine_for(network, "eager"), [40], params)
    engine = PersistentEngine(kernel_schedule(network), "float32", Emulator(2, warps=4))
    assert torch.equal(drawn(network, engine, [40], params)[1], codes)


@no_compiler
def test_each_clip_has_its_label():
    network = large(lambda: SeqUNet(3, 6, 1, 3))
    network.select_labels([0, 0])
    network.input_layer.label_rows.data.normal_()
    engines = engine_for(network, "eager"), PersistentEngine(kernel_schedule(network), "float32", Emulator())
    labels = torch.tensor([2, 0, 1])
    (one, codes, _), (other, own_codes, _) = (drawn(network, each, [9], clips=3, labels=labels) for each in engines)
    assert torch.equal(own_codes, codes)
    torch.testing.assert_close(other.logits, one.logits, rtol=0, atol=1e-4)


@no_compiler
@pytest.mark.parametrize("norm", [False, True])
def test_bf16_weights_are_close(norm):
    network = large(lambda: SeqUNet(3, 6, 1, 3, norm))
    exact, coarse = engine_for(network, "eager"), PersistentEngine(kernel_schedule(network), "bf16", Emulator())
    session, _, _ = drawn(network, exact, [1])
    other, _, _ = drawn(network, coarse, [1])
    assert 0 < (session.logits - other.logits).abs().max() < 0.05 * session.logits.std()


@no_compiler
def test_a_block_that_waits_for_ever_is_an_error():
    network = large(lambda: SeqUNet(2, 4, 1, 3))
    plan = kernel_schedule(network)
    plan.patterns[0] = plan.patterns[0][1:]  # the first layer gives no frames
    with pytest.raises(UserError, match="--engine graphs"):
        drawn(network, PersistentEngine(plan, "float32", Emulator()), [3])


@no_compiler
@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (partial(SeqUNet, 2, 4, 1, 3), "levels.0.down.0.conv"),
        (partial(SeqUNet, 2, 4, 1, 3), "levels.0.up.0.conv"),  # read by a ReLU
        (partial(SeqUNet, 2, 4, 1, 3, norm=True), "levels.0.down.0.conv"),
        (partial(SeqUNet, 2, 4, 1, 3, norm=True), "levels.0.up.0.conv"),
        (partial(SeqUNet, 2, 4, 1, 3, head=9), "hidden_conv"),
        (partial(WaveNet, 2, 1, 3, 7, 20, 4), "layers.1.conv"),
        (partial(WaveNet, 2, 1, 3, 7, 20, 4), "layers.1.skip"),  # read by ReLUs, this and the next
        (partial(WaveNet, 2, 1, 3, 7, 20, 4), "end_1"),
    ],
)
def test_broken_weights_are_seen(network, layer):
    network = large(network)
    session = start(network, None, 1)  # whose logits are numbers yet
    network.get_submodule(layer).weight.data.flatten()[0] = torch.nan
    engine = PersistentEngine(kernel_schedule(network), "float32", Emulator())
    with pytest.raises(UserError, match="not numbers"):
        list(extend(network, session, CounterRng(1, range(1)), SamplingParams(), 6, engine))


@pytest.mark.parametrize("limits", [H100, SMALL], ids=["large", "small"])
@pytest.mark.parametrize("network", [SeqUNet, NORMED, WaveNet])
@pytest.mark.parametrize("weights", ["float32", "bf16"])
def test_published_networks_fit(network, weights, limits):
    with torch.device("meta"):
        plan = kernel_schedule(network())
    layout = Layout(plan, weights, limits)
    assert layout.shared <= limits.shared
    assert layout.blocks <= limits.blocks


def test_what_does_not_fit_is_told():
    long, deep = kernel_schedule(SeqUNet(2, 4, 1, 257)), kernel_schedule(SeqUNet(2, 4, 1, 3))
    deep.input.shift = 29
    for plan in (long, deep):
        with pytest.raises(ValueError, match="too"):
            Layout(plan, "float32", H100)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("network", [SeqUNet, NORMED, WaveNet])
def test_published_networks_on_a_gpu(network):
    """More than the samples of a launch's first steps: with the rings in global memory, and bf16 beside."""
    torch.manual_seed(0)
    network = network().cuda()
    pieces = [1, 1200, 300]
    expected, codes, nats = drawn(network, engine_for(network, "eager"), pieces, clips=2)
    engine = engine_for(network, "cuda")
    assert engine.name == "cuda"
    session, own_codes, own_nats = drawn(network, engine, pieces, clips=2)
    assert torch.equal(own_codes, codes)
    torch.testing.assert_close(own_nats, nats, rtol=0, atol=1e-4)
    torch.testing.assert_close(session.logits, expected.logits, rtol=0, atol=1e-4)
    coarse, exact = (drawn(network, engine_for(network, "cuda", kind), [1])[0] for kind in ("bf16", "float32"))
    assert 0 < (coarse.logits - exact.logits).abs().max() < 0.05 * exact.logits.std()


@pytest.mark.skipif(nvrtc() is None, reason="nvidia-cuda-nvrtc is not installed here")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize(("network", "weights"), [(SeqUNet, "float32"), (NORMED, "bf16")])
def test_the_source_compiles_for_gpus(architecture, network, weights):
    with torch.device("meta"):
        layout = Layout(kernel_schedule(network()), weights, H100)
    cubin = compile_kernel(nvrtc(), layout.constants, architecture)
    assert cubin[:4] == b"\x7fELF" and b"sample" in cubin


@pytest.mark.skipif(nvrtc() is None, reason="nvidia-cuda-nvrtc is not installed here")
def test_what_the_compiler_says_is_told():
    with pytest.raises(RuntimeError, match="HELD"):
        compile_kernel(nvrtc(), {"WIDTH": 8, "THREADS": 64, "BF16": 0, "NORM": 0}, "sm_90")
