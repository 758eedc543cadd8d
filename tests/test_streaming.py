"""The contract that all networks keep: a step gives what a whole window gives, from a state that the caller owns."""

import io
from dataclasses import fields

import pytest
import torch
from torch import Tensor

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.models.network import Network, State
from sequnet_pl.models.sequnet import SeqUNet


def random_codes(*shape: int, seed: int = 1) -> Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed))


def run(network: Network, codes: Tensor, state: State) -> Tensor:
    """Logits (B, Q, T) after each of the codes (B, T)."""
    return torch.stack([network.step(code, state) for code in codes.unbind(1)], dim=-1)


@pytest.mark.parametrize(
    ("dtype", "code_dtype", "tolerance"), [(torch.float64, torch.uint8, 1e-10), (torch.float32, torch.int64, 1e-4)]
)
def test_step_equals_forward_at_every_phase(network, dtype, code_dtype, tolerance):
    network.to(dtype)
    start, steps = network.window(1).inputs, 3 * network.cycle
    codes = random_codes(2, start + steps).to(code_dtype)
    whole = network(codes)
    logits, state = network.prefill(codes[:, :start])
    stream = torch.cat((logits.unsqueeze(-1), run(network, codes[:, start:], state)), dim=-1)
    assert state.time == steps
    deviation = whole.std().item()
    assert deviation > 0.1  # else nothing is compared
    torch.testing.assert_close(stream, whole[..., -steps - 1 :], rtol=0, atol=tolerance * max(1.0, deviation))


def check_prefill(network: Network, length: int) -> None:
    codes = random_codes(2, length, seed=length)
    logits, prefilled = network.prefill(codes)
    stepped = network.silence(2, -length)
    torch.testing.assert_close(run(network, codes, stepped)[..., -1], logits, rtol=0, atol=1e-10)
    assert prefilled.time == stepped.time == 0
    more = random_codes(2, network.cycle + 1)
    torch.testing.assert_close(run(network, more, prefilled), run(network, more, stepped), rtol=0, atol=1e-10)


def test_prefill_equals_silence_and_steps(network):
    for length in (*range(1, network.cycle + 2), 2 * network.cycle + 1, network.window(1).inputs + 3):
        check_prefill(network, length)


def test_a_window_may_be_shorter_than_the_kernel():
    check_prefill(SeqUNet(levels=3, features=4, depth=1, kernel_size=7, state=4).double(), 1)


def test_silence_lasts(network):
    state = network.silence(1, time=3)
    codes = torch.full((1, 2 * network.cycle), SILENCE)
    logits = run(network, codes, state)
    torch.testing.assert_close(logits[..., : network.cycle], logits[..., network.cycle :], rtol=0, atol=1e-10)


def test_causality_and_receptive_field_by_gradient(network, monkeypatch):
    """No output sees the code after it, and the farthest code that any output sees is the receptive field away."""
    monkeypatch.setattr(torch, "relu", torch.exp)  # where all features are negative, ReLU lets no gradient through
    inputs, outputs = network.window(network.cycle)
    table = network.start if hasattr(network, "start") else network.input_conv
    codes = random_codes(1, inputs)
    reach = []
    for output in range(outputs):
        seen = gradient_by_time(network, table, codes, output)
        last = inputs - outputs + output  # the newest code that this output may see
        assert not seen[last + 1 :].any()
        assert seen[last]
        reach.append(last - seen.nonzero().min().item() + 1)
    if network.receptive_field is not None:
        assert max(reach) == network.receptive_field
    if network.receptive_field == 237:
        assert (min(reach), max(reach)) == (230, 237)


def gradient_by_time(network: Network, table: torch.nn.Module, codes: Tensor, output: int) -> Tensor:
    """Whether the logits of an output depend on the code at each time: the table's output is a linear map of them."""
    kernel_size = table.kernel_size
    features = []

    def leaf(_, __, x):
        features.append(x.detach().requires_grad_())
        return features[-1]

    handle = table.register_forward_hook(leaf)
    network(codes)[0, :, output].square().sum().backward()
    handle.remove()
    gradient = features[0].grad[0].abs().sum(1)  # (T - K + 1); frame t reads the codes t .. t + K - 1
    rounding = 1e-12 * gradient.max() if network.receptive_field is None else 0  # of a convolution by FFT
    seen = gradient > rounding
    pad = torch.nn.functional.pad
    # frames of silence may come before the window
    return torch.stack([pad(seen, (tap, kernel_size - 1 - tap)) for tap in range(kernel_size)]).any(0)[
        -codes.shape[1] :
    ]


def test_scored_samples_have_a_context_where_the_past_is_unbounded(network):
    scored, trained = network.scoring_window(3 * network.cycle), network.window(3 * network.cycle)
    assert scored.outputs == trained.outputs
    least = 1024 if network.receptive_field is None else 0
    assert least <= scored.inputs - trained.inputs < least + network.cycle
    codes = random_codes(1, scored.inputs)
    assert torch.equal(network.scored_logits(codes), network(codes)[..., -scored.outputs :])


def test_interleaved_states_do_not_know_of_each_other(network):
    codes = random_codes(4, 2 * network.cycle + 3)
    alone = [run(network, part, network.silence(2, time)) for part, time in zip(codes.split(2), (0, 1), strict=True)]
    states = [network.silence(2, time) for time in (0, 1)]
    logits = [[], []]
    for step in range(codes.shape[1]):
        for index, state in enumerate(states):
            logits[index].append(network.step(codes[2 * index : 2 * index + 2, step], state))
    for mixed, expected in zip(logits, alone, strict=True):
        assert torch.equal(torch.stack(mixed, dim=-1), expected)


def test_step_updates_state_in_place(network):
    state = network.silence(2)
    before, after = [], []
    state.map(lambda tensor: before.append(tensor.data_ptr()) or tensor)
    run(network, random_codes(2, network.cycle + 1), state)
    state.map(lambda tensor: after.append(tensor.data_ptr()) or tensor)
    assert before and before == after


def test_state_can_be_saved_and_a_clip_chosen(network):
    codes = random_codes(3, network.cycle + 5)
    _, state = network.prefill(codes)
    file = io.BytesIO()
    torch.save(vars(state), file)
    file.seek(0)
    loaded = type(state)(**torch.load(file, weights_only=True))
    assert {field.name for field in fields(loaded)} == set(vars(state))
    one = loaded.map(lambda tensor: tensor[1:2].clone())
    more = random_codes(3, network.cycle + 1, seed=5)
    torch.testing.assert_close(run(network, more[1:2], one), run(network, more, state)[1:2], rtol=0, atol=1e-10)


def test_wrong_sizes_are_refused(network):
    with pytest.raises(ValueError, match="window"):
        network(random_codes(1, network.window(1).inputs - network.window(1).outputs))
    with pytest.raises(ValueError, match="window"):
        network.window(0)
    with pytest.raises(ValueError, match="prompt"):
        network.prefill(random_codes(1, 0))
