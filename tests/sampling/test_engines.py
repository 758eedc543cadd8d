"""Every engine gives what `forward` gives, at every phase, and what the others give."""

import copy
import io

import pytest
import torch

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.errors import UserError
from sequnet_pl.models.precision import float32_products
from sequnet_pl.models.sashimi import SaShiMi
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.sampling.draw import CounterRng, SamplingParams
from sequnet_pl.sampling.engines import Session, build, engine_for
from sequnet_pl.sampling.engines.graphs import GraphsEngine
from sequnet_pl.sampling.generate import extend, resume, start

no_kernels = pytest.mark.skipif(build.library() is None, reason="there is no C++ compiler here")
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
ENGINES = [
    pytest.param("eager", id="eager"),
    pytest.param("native", id="native", marks=no_kernels),
    pytest.param("cuda", id="cuda", marks=no_gpu),  # so few clips: the kernel
    pytest.param("graphs", id="graphs", marks=no_gpu),
    "graphless",  # the steps of the graphs, on the CPU
]
DRAWINGS = [
    SamplingParams(0),
    SamplingParams(0.8, top_k=7),
    SamplingParams(1.3, top_p=0.6),
    SamplingParams(0.9, 20, 0.9),
]
SHAPES = {  # beyond the small networks of all tests: several panels of channels, and single layers
    "sequnet-70": lambda: SeqUNet(3, 70, 1, 5),
    "sequnet-k9": lambda: SeqUNet(4, 17, 1, 9),
    "sequnet-norm-40-head-70": lambda: SeqUNet(3, 40, [3, 1], 3, norm=True, head=70),
    "sequnet-memory-40": lambda: SeqUNet(4, 40, [2, 1], 3, head=70, state=10),
    "wavenet-40": lambda: WaveNet(3, 2, 40, 70, 90),
    "wavenet-1": lambda: WaveNet(1, 1, 3, 40, 6, 4),
    "sashimi-70": lambda: SaShiMi(70, 2, 10, head=90),
    "sashimi-24-no-norm": lambda: SaShiMi(24, 1, 6, norm=False),
}


of_wide_networks = pytest.mark.parametrize("network", SHAPES.values(), ids=SHAPES, indirect=True)


def on_device(network, engine):
    return network.float().to("cuda" if engine in ("cuda", "graphs") else "cpu")


def make_engine(network, name, weights="float32"):
    return GraphsEngine(network) if name == "graphless" else engine_for(network, name, weights)


def prompts(clips, length, seed=1):
    return torch.randint(256, (clips, length), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def uniforms(session, clips, samples):
    return CounterRng(1, range(clips)).uniform(session.drawn, samples).to(session.logits.device)


def sample_block(network, engine, session, samples, params=SamplingParams()):  # noqa: B008 (frozen)
    clips = len(session.logits)
    return engine.sample_block(session, uniforms(session, clips, samples), params)


def whole_logits(network, prompt, codes):
    """Logits (B, Q, T + 1) by `forward`, of each of the codes and of the one after them."""
    steps = -(-codes.shape[1] // network.cycle) * network.cycle
    read = torch.cat((prompt, codes), dim=1)
    behind = steps - codes.shape[1]  # whole cycles: what comes after the codes is seen by none of the outputs asked
    read = torch.nn.functional.pad(read, (0, behind), value=SILENCE)
    if network.receptive_field is None:
        inputs = network.window(read.shape[1]).inputs
    else:
        inputs = network.window(1).inputs + steps
    read = torch.nn.functional.pad(read, (max(0, inputs - read.shape[1]), 0), value=SILENCE)[:, -inputs:]
    with float32_products(tf32=False):
        return network(read)[..., -steps - 1 :][..., : codes.shape[1] + 1]


def check_against_forward(network, name, clips, surplus, size=None):
    network = on_device(network, name)
    engine = make_engine(network, name)
    prompt = prompts(clips, network.window(1).inputs + surplus if surplus >= 0 else -surplus)
    session, samples = start(network, prompt, clips), 2 * network.cycle + 5
    size = size or samples
    logits, blocks = [session.logits.clone()], []
    for _ in range(0, samples, size):
        blocks.append(sample_block(network, engine, session, size))
        logits.append(session.logits.clone())
    assert session.drawn == session.state.time == samples
    codes, nats = (torch.cat(parts, dim=1) for parts in zip(*blocks, strict=True))
    expected = whole_logits(network, prompt.to(codes.device), codes)
    assert expected.std() > 0.1  # else nothing is compared
    close(nats, torch.nn.functional.cross_entropy(expected[..., :-1], codes.long(), reduction="none"), expected)
    close(torch.stack(logits, dim=-1), expected[..., ::size], expected)


def close(values, expected, logits):
    """Equal to rounding, which grows with the logits."""
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-4 * max(1.0, logits.std().item()))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("clips", "surplus", "size"), [(1, -3, None), (5, 3, None), (2, 0, 1)])
def test_engine_equals_forward_at_every_phase(network, name, clips, surplus, size):
    """Prompts are shorter or longer than a window. Of blocks of one sample all logits are seen."""
    check_against_forward(network, name, clips, surplus, size)


@of_wide_networks
@pytest.mark.parametrize("name", ENGINES)
def test_engine_equals_forward_in_wide_networks(network, name):
    check_against_forward(network, name, 3, -30)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("params", DRAWINGS, ids=str)
@pytest.mark.parametrize(
    "network", [lambda: SeqUNet(4, 6, 2, 5), lambda: WaveNet(4, 2, 6, 5, 9), lambda: SaShiMi(4, 2, 6)], indirect=True
)
def test_codes_and_nats_are_those_of_the_reference(network, name, params):
    network = on_device(network, name)
    list(network.parameters())[-1].data.zero_()  # else the bias of the logits alone decides on the likeliest code
    blocks = []
    for engine in (engine_for(network, "eager"), make_engine(network, name)):
        session = start(network, prompts(5, 20), 5)
        blocks.append(sample_block(network, engine, session, 2 * network.cycle + 9, params))
    assert torch.equal(blocks[0].codes, blocks[1].codes)
    close(blocks[0].nats, blocks[1].nats, session.logits)
    assert params.temperature == 0 or blocks[0].codes.unique().numel() > 1  # a greedy WaveNet soon hums one code


@pytest.mark.parametrize("name", ENGINES)
def test_engines_continue_each_other(network, name):
    """A session passes between engines, and through a file, at any time."""
    network = on_device(network, name)
    eager, other = engine_for(network, "eager"), make_engine(network, name)
    alone = start(network, None, 2)
    codes = sample_block(network, eager, alone, 4 * network.cycle + 14).codes
    session, parts = start(network, None, 2), []
    for engine, samples in ((other, network.cycle + 1), (eager, 3), (other, 2 * network.cycle + 6), (eager, 4)):
        parts.append(sample_block(network, engine, session, samples).codes)
        file = io.BytesIO()
        torch.save(vars(session.state), file)
        file.seek(0)
        session.state = type(session.state)(**torch.load(file, weights_only=True))
    parts.append(sample_block(network, other, session, network.cycle).codes)
    assert torch.equal(torch.cat(parts, dim=1), codes)
    close(session.logits, alone.logits, alone.logits)


@no_kernels
@of_wide_networks
@pytest.mark.parametrize("weights", ["float32", "bf16", "int8"])
def test_native_is_the_same_bits_however_it_is_cut(network, weights):
    """Any number of clips and threads, and any length of blocks: so that a continued clip is one that never stopped."""
    engine = engine_for(network.float(), "native", weights)
    whole = start(network, prompts(5, 20), 5)
    part = Session(whole.logits[1:2], whole.state.map(lambda tensor: tensor[1:2].clone()))
    uniform, threads = uniforms(whole, 5, 61), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        block = engine.sample_block(whole, uniform, SamplingParams())
        torch.set_num_threads(1)
        pieces = uniform[1:2].split([1, 2, 3, 6, 10, 39], dim=1)
        parts = [engine.sample_block(part, piece, SamplingParams()) for piece in pieces]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.cat([piece.codes for piece in parts], dim=1), block.codes[1:2])
    assert torch.equal(torch.cat([piece.nats for piece in parts], dim=1), block.nats[1:2])
    assert torch.equal(part.logits, whole.logits[1:2])


@pytest.mark.parametrize("name", ENGINES)
def test_weights_stay_and_a_second_batch_is_as_the_first(network, name):
    network = on_device(network, name)
    before, engine = copy.deepcopy(network.state_dict()), make_engine(network, name)
    first, second = (
        sample_block(network, engine, start(network, prompts(2, 30), 2), network.cycle + 3) for _ in range(2)
    )
    assert torch.equal(first.codes, second.codes)
    assert torch.equal(first.nats, second.nats)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@no_kernels
@of_wide_networks
@pytest.mark.parametrize(("weights", "tolerance"), [("bf16", 0.05), ("int8", 0.1)])
def test_reduced_weights_are_close(network, weights, tolerance):
    exact, coarse = engine_for(network.float(), "native"), engine_for(network, "native", weights)
    session = start(network, prompts(3, 40), 3)
    for _ in range(9):  # one sample at a time, since drawn codes would part
        other = Session(session.logits.clone(), session.state.map(torch.clone), session.drawn)
        sample_block(network, coarse, other, 1)
        sample_block(network, exact, session, 1)
        error = (session.logits - other.logits).abs().max()
        assert 0 < error < tolerance * session.logits.std()


def before_a_relu(network):
    if isinstance(network, WaveNet):
        return network.end_1.weight
    if isinstance(network, SaShiMi):
        return network.end.weight if network.hidden is None else network.hidden.weight
    if network.hidden_conv is not None:
        return network.hidden_conv.weight
    return (network.levels[0].up if network.levels else network.bottleneck)[-1].conv.weight


@pytest.mark.parametrize("broken", [lambda network: list(network.parameters())[3], before_a_relu], ids=["any", "relu"])
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        *(pytest.param("native", weights, marks=no_kernels) for weights in ("float32", "bf16", "int8")),
        *(pytest.param(name, "float32", marks=no_gpu) for name in ("cuda", "graphs")),
    ],
)
def test_broken_weights_are_seen(network, broken, name, weights):
    network = on_device(network, name)
    session = start(network, None, 2)  # whose logits are numbers yet
    broken(network).data.flatten()[0] = torch.nan
    engine = make_engine(network, name, weights)
    with pytest.raises(UserError, match="not numbers"):
        list(extend(network, session, CounterRng(0, range(2)), SamplingParams(), 20, engine))


def test_cuda_blocks_longer_than_its_tensors(network, monkeypatch):
    monkeypatch.setattr("sequnet_pl.sampling.engines.graphs.CAPACITY", 7)
    blocks = []
    for engine in (engine_for(network, "eager"), GraphsEngine(network)):
        blocks.append(sample_block(network, engine, start(network, None, 2), 30))
    assert torch.equal(blocks[0].codes, blocks[1].codes)


@pytest.mark.parametrize("prompt", [None, 3])
def test_a_session_is_made_again_from_its_codes(network, prompt):
    given = None if prompt is None else prompts(2, prompt)
    engine, session = engine_for(network, "eager"), start(network, given, 2)
    drawn = sample_block(network, engine, session, 2 * network.cycle + 5).codes
    codes = drawn if given is None else torch.cat((given, drawn), dim=1)
    again = resume(network, codes, drawn.shape[1])
    torch.testing.assert_close(again.logits, session.logits, rtol=0, atol=1e-10)
    more = [sample_block(network, engine, each, 40).codes for each in (session, again)]
    assert torch.equal(*more)


def test_equal_prompts_are_read_once(network, monkeypatch):
    one, two = prompts(2, 20)
    read, prefill = [], network.prefill
    monkeypatch.setattr(network, "prefill", lambda codes, labels=None: read.append(len(codes)) or prefill(codes))
    session, alone = start(network, torch.stack((two, one, two, one)), 4), start(network, torch.stack((two, one)), 2)
    assert read == [2, 2]
    torch.testing.assert_close(session.logits, alone.logits.repeat(2, 1), rtol=0, atol=1e-10)
    engine = engine_for(network, "eager")
    codes = [sample_block(network, engine, each, 9, SamplingParams(0)).codes for each in (session, alone)]
    assert torch.equal(codes[0], codes[1].repeat(2, 1))
