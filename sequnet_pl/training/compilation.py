"""The training step's loss as one compiled graph, with the network, if requested or worthwhile.

What is compiled is a function of the network: a copy of a module, as averaging of weights makes, computes with its own
weights.
"""

import functools
from collections.abc import Callable
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from sequnet_pl.data.crops import Batch
from sequnet_pl.models.network import Network
from sequnet_pl.training.metrics import nats, targets_and_mask

Compile = bool | Literal["auto"]
"""`auto` compiles on a GPU where enough steps are to go."""
PAYS = 3000
"""Steps from which on `auto` compiles. It takes some 80 seconds on an H100, and saves half of steps of 40 to 180 ms."""
BACKEND = "inductor"

Loss = Callable[[Network, Batch, Tensor | None], Tensor]


def loss_sum(network: Network, batch: Batch, labels: Tensor | None = None) -> Tensor:
    """Nats of all targets of a batch that count, added up; its crops may have labels (B,)."""
    logits = network(batch.codes[:, :-1], labels)
    targets, mask = targets_and_mask(batch, logits.shape[-1])
    return (nats(logits, targets) * mask).sum()


@functools.cache
def compiled_loss_sum(backend: str) -> Loss:
    """`loss_sum`, compiled for each shape at its first call; fails where it is not one graph."""
    return torch.compile(loss_sum, backend=backend, fullgraph=True, dynamic=False)


def compiles(wanted: Compile, device: torch.device, steps: float) -> bool:
    """Return whether to compile for a number of steps on a device."""
    return device.type == "cuda" and steps >= PAYS if wanted == "auto" else wanted


class Compilation:
    """The choice between the loss and the compiled one, which has batches of one shape, from `begin` on."""

    def __init__(self, wanted: Compile) -> None:
        self._wanted: Compile = wanted
        self._shape: torch.Size | None = None

    def loss(self, network: Network, batch: Batch, labels: Tensor | None) -> Tensor:
        """`loss_sum`, compiled or not."""
        return (compiled_loss_sum(BACKEND) if batch.codes.shape == self._shape else loss_sum)(network, batch, labels)

    def begin(self, trainer: pl.Trainer, network: Network) -> None:
        """Compile for the batches to come, if requested or worthwhile, and try it forward and backward.

        Where compiling fails, in any process, all train without it, after one warning. What fails without it too, such
        as too little memory, is raised.
        """
        self._shape = None
        data = trainer.datamodule  # type: ignore[attr-defined]
        device, steps = next(network.parameters()).device, trainer.estimated_stepping_batches - trainer.global_step
        if not compiles(self._wanted, device, steps):
            return
        rank_zero_info("compiling the training step, which takes a minute or two (--compile false does without)")
        # DDP would cut the graph where its buckets end, and cannot where activations are computed again
        torch._dynamo.config.optimize_ddp = False
        inputs, _ = network.window(data.hparams["output_size"])
        codes = torch.zeros(data.batch_size, inputs + 1, dtype=torch.uint8, device=device)
        counts = torch.full((data.batch_size,), inputs, device=device)
        batch = Batch(codes, counts, counts, counts)
        labels = torch.zeros_like(counts) if network.label_count else None

        def attempt(loss: Loss) -> None:
            with trainer.precision_plugin.forward_context():
                total = loss(network, batch, labels)
            torch.autograd.grad(total, list(network.parameters()))  # not `backward`, which processes would wait for

        failure = _failure(attempt)
        if trainer.strategy.reduce_boolean_decision(failure is None, all=True):
            self._shape = codes.shape
        else:
            rank_zero_warn(f"training without torch.compile, which failed: {failure or 'in another process'}")


def _failure(attempt: Callable[[Loss], None]) -> str | None:
    """Return the reason if the compiled loss fails and the plain one does not; None if neither fails."""
    try:
        attempt(compiled_loss_sum(BACKEND))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a compiler may raise
        attempt(loss_sum)
        return next(iter(str(error).strip().splitlines()), type(error).__name__)
    return None
