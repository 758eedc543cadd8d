"""Labels: rows that are added to the first frame, the same for whole sequences, for steps and in every engine."""

import pytest
import torch

from sequnet_pl.errors import UsageError
from sequnet_pl.models.network import Network
from sequnet_pl.models.sashimi import SaShiMi
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.sampling.draw import CounterRng, SamplingParams
from sequnet_pl.sampling.engines import build, engine_for
from sequnet_pl.sampling.engines.graphs import GraphsEngine
from sequnet_pl.sampling.generate import extend, generate, resume, start

LABELS = torch.tensor([2, 0, 1])
NETWORKS = {
    "sequnet": lambda: SeqUNet(4, 6, [2, 1], 3, head=5),
    "sequnet-norm": lambda: SeqUNet(3, 5, 1, 5, norm=True),
    "sequnet-memory": lambda: SeqUNet(4, 6, 1, 3, state=4),
    "wavenet": lambda: WaveNet(3, 2, 6, 5, 9),
    "sashimi": lambda: SaShiMi(4, 2, 6, head=5),
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys())
def labelled(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(0)
    network = request.param().double()
    network.select_labels([0, 0])
    for parameter in network.parameters():
        parameter.data *= 2
    network.input_layer.label_rows.data.normal_()
    return network


def random_codes(clips: int, length: int) -> torch.Tensor:
    return torch.randint(256, (clips, length), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def stepped(network: Network, codes: torch.Tensor, state) -> torch.Tensor:
    return torch.stack([network.step(code.long(), state) for code in codes.unbind(1)], dim=2)


@torch.no_grad()
def test_labels_mean_the_same_for_forward_prefill_and_steps(labelled):
    window = labelled.window(50)
    codes = random_codes(3, window.inputs)
    whole = labelled(codes, LABELS)
    before = window.inputs - window.outputs + 16
    logits, state = labelled.prefill(codes[:, :before], LABELS)
    torch.testing.assert_close(logits, whole[..., before - window.inputs - 1 + window.outputs], rtol=0, atol=1e-10)
    after = stepped(labelled, codes[:, before:], state)
    torch.testing.assert_close(after, whole[..., -after.shape[-1] :], rtol=0, atol=1e-10)
    assert torch.equal(state.labels, LABELS)
    assert (whole[0] - labelled(codes, LABELS.roll(1))[0]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("time", [-8, -3, 0, 5])
def test_silence_has_labels_and_lasts(labelled, time):
    silent = torch.full((3,), 128)
    state = labelled.silence(3, time, LABELS)
    alone = [labelled.silence(1, time, label) for label in LABELS.split(1)]
    for _ in range(2 * labelled.cycle):
        logits = labelled.step(silent, state)
        expected = torch.cat([labelled.step(silent[:1], each) for each in alone])
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    again = labelled.silence(3, state.time, LABELS)
    torch.testing.assert_close(labelled.step(silent, again), labelled.step(silent, state), rtol=0, atol=1e-9)


@torch.no_grad()
def test_no_label_is_the_first_row_and_new_rows_change_nothing(labelled):
    codes = random_codes(3, labelled.window(20).inputs)
    none = torch.zeros(3, dtype=torch.long)
    torch.testing.assert_close(labelled(codes), labelled(codes, none), rtol=0, atol=1e-10)
    with_rows = labelled(codes, LABELS)
    labelled.select_labels([0] * 4)
    assert labelled.label_count == 4
    plain = labelled(codes, torch.tensor([4, 0, 1]))
    labelled.select_labels([])
    assert labelled.label_count == 0
    torch.testing.assert_close(plain, labelled(codes), rtol=0, atol=1e-10)
    assert not torch.equal(plain, with_rows)


@pytest.mark.parametrize("name", ["eager", "native", "graphless"])
def test_every_engine_adds_the_rows_of_mixed_labels(labelled, name):
    network = labelled.float()
    if name == "native" and build.library() is None:
        pytest.skip("there is no C++ compiler here")
    engine = GraphsEngine(network) if name == "graphless" else engine_for(network, name)
    for prompt, labels in ((random_codes(3, 40), LABELS), (None, LABELS), (None, None)):
        session = start(network, prompt, 3, labels)
        blocks = list(extend(network, session, CounterRng(1, range(3)), SamplingParams(), 37, engine))
        codes = torch.cat([block.codes for block in blocks], dim=1)
        reference = start(network, prompt, 3, labels)
        expected = stepped(network, codes, reference.state)[..., -1]
        torch.testing.assert_close(session.logits, expected, rtol=0, atol=1e-3 * float(expected.std()))
        if prompt is not None:
            again = resume(network, torch.cat((prompt, codes), dim=1), codes.shape[1], labels)
            torch.testing.assert_close(again.logits, expected, rtol=0, atol=1e-3 * float(expected.std()))


def test_generate_takes_a_label_for_each_clip(labelled):
    sound = generate(labelled, seconds=0.01, clips=2, labels=[1, 2])
    assert (generate(labelled, seconds=0.01, clips=2, labels=[1, 0])[0] == sound[0]).all()
    assert (generate(labelled, seconds=0.01, clips=2)[0] != sound[0]).any()
    for wrong in ([1], [1, 3], [-1, 0]):
        with pytest.raises(UsageError, match="2 numbers from 0 to 2"):
            generate(labelled, seconds=0.01, clips=2, labels=wrong)


def test_a_network_without_an_input_layer_takes_no_labels():
    class Unlabelled(SeqUNet):
        input_layer = None

    with pytest.raises(UsageError, match="Unlabelled takes no labels"):
        Unlabelled(2, 4, 1, 3).select_labels([0, 0])
