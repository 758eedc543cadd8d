"""Generation: read a prompt or silence, then alternately draw a code and step the network.

Letters: B clips, T time, Q = 256 classes.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network
from sequnet_pl.models.precision import float32_products
from sequnet_pl.sampling.draw import CounterRng, SamplingParams
from sequnet_pl.sampling.engines import Block, Engine, Session, engine_for

BLOCK = 1600
"""Samples of a block, after which a progress bar, a file and Ctrl-C are handled."""


def start(network: Network, prompt: Tensor | None, clips: int, labels: Tensor | None = None) -> Session:
    """Read the prompt, codes (T,) for all clips or (clips, T); None is silence. `labels` are (clips,) int64."""
    if clips < 1:
        raise UsageError(f"clips is {clips}, but must be 1 or more")
    device = next(network.parameters()).device
    labels = None if labels is None else labels.to(device)
    if prompt is None:
        state = network.silence(clips, time=-1, labels=labels)
        return Session(network.step(torch.full((clips,), mulaw.SILENCE, device=device), state), state)
    if prompt.shape[-1] < 1:
        raise UserError("the prompt is empty; give one of at least one sample, or none to start from silence")
    rows = prompt.expand(clips, -1) if prompt.dim() == 1 else prompt
    distinct, numbers = torch.unique(rows, dim=0, return_inverse=True)
    if labels is not None or len(distinct) == len(rows):
        return Session(*network.prefill(rows.to(device), labels))
    logits, state = network.prefill(distinct.to(device))  # equal prompts are read once
    numbers = numbers.to(device)
    return Session(logits[numbers], state.map(lambda tensor: tensor[numbers]))


@float32_products(tf32=False)
@torch.no_grad()
def resume(network: Network, codes: Tensor, drawn: int, labels: Tensor | None = None) -> Session:
    """Return the session after codes (B, T) of labels (B,), the last `drawn` of which were generated.

    It is equal to the session that drew them but for rounding.

    The codes are read in one pass up to a whole cycle of the network; the rest is stepped.
    """
    rest = drawn % network.cycle
    before = max(1, rest + 1 - codes.shape[1])  # silence, so that there is a code to read before the rest
    codes = F.pad(codes, (before, 0), value=mulaw.SILENCE).to(next(network.parameters()).device)
    read = codes.shape[1] - rest
    logits, state = network.prefill(codes[:, :read], None if labels is None else labels.to(codes.device))
    for code in codes[:, read:].long().unbind(1):
        logits = network.step(code, state)
    return Session(logits, state, drawn)


@torch.no_grad()
def extend(
    network: Network,
    session: Session,
    noise: CounterRng,
    params: SamplingParams,
    samples: int,
    engine: Engine | None = None,
) -> Iterator[Block]:
    """Draw `samples` more codes of each clip, block by block, and advance the session.

    Without an `engine`, made for this network, the fastest that can run it is used.
    Raises UserError if the network gives logits that are not numbers.
    """
    was_training = network.training
    end = session.drawn + samples
    try:
        network.eval()
        engine = engine or engine_for(network)
        while session.drawn < end:
            count = min(BLOCK, end - session.drawn)
            uniform = noise.uniform(session.drawn, count).to(session.logits.device)
            with float32_products(tf32=False):  # also during a training that allows TF32
                block = engine.sample_block(session, uniform, params)
            if not block.nats.isfinite().all():
                raise UserError(
                    "the network gives logits that are not numbers: its weights are broken; take an earlier checkpoint"
                )
            yield block
    finally:
        network.train(was_training)


def generate(
    network: Network,
    prompt: NDArray[np.floating] | None = None,
    seconds: float = 1.0,
    temperature: float = 1.0,
    seed: int = 0,
    clips: int = 1,
    sample_rate: int = SAMPLE_RATE,
    labels: Sequence[int] | None = None,
) -> NDArray[np.float32]:
    """Generate clips with a network.

    Args:
        network: Any of the networks, on any device, in any floating-point type.
        prompt: Samples in [-1, 1] at `sample_rate` that the clips continue: (T,) for all, or (clips, T); None starts
            from silence.
        seconds: Length of what is generated.
        temperature: 1 draws as the network predicts, less is more conservative, 0 takes the likeliest code.
        seed: The random numbers of a clip depend on (seed, clip, time) only.
        clips: Number of clips, made at once.
        sample_rate: Samples a second of the training data.
        labels: The number of the label of each clip, in the order of the network's labels from 1 on; 0 is no label.

    Returns:
        The generated samples, without the prompt: (clips, round(seconds * sample_rate)) float32 in [-1, 1].

    Raises:
        UsageError: A value is out of range.
    """
    samples = round(seconds * sample_rate)
    if samples < 1:
        raise UsageError(f"seconds is {seconds}, but must be at least one sample, 1/{sample_rate}")
    codes = None
    if prompt is not None:
        codes = torch.from_numpy(mulaw.encode(np.asarray(prompt)))
        if codes.dim() == 2 and len(codes) != clips:
            raise UsageError(f"there are {len(codes)} prompts for {clips} clips; give one, or one for each")
    if labels is not None and (len(labels) != clips or not all(0 <= label <= network.label_count for label in labels)):
        raise UsageError(f"labels are {list(labels)}, but must be {clips} numbers from 0 to {network.label_count}")
    session = start(network, codes, clips, None if labels is None else torch.tensor(labels))
    blocks = extend(network, session, CounterRng(seed, range(clips)), SamplingParams(temperature), samples)
    return mulaw.decode(torch.cat([block.codes for block in blocks], dim=1).cpu().numpy())
