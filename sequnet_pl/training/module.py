"""The LightningModules: how the networks learn and are scored. The networks are in sequnet_pl.models.

Letters: B batch, N targets, Q = 256 classes.
"""

import inspect
import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from sequnet_pl.data.crops import Batch
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError
from sequnet_pl.models import registry
from sequnet_pl.models.layers import CodeConv
from sequnet_pl.models.network import Network
from sequnet_pl.models.precision import float32_products
from sequnet_pl.training.compilation import Compilation, Compile
from sequnet_pl.training.metrics import Mean, margins, nats, targets_and_mask
from sequnet_pl.training.optimization import Optimization
from sequnet_pl.training.run_timer import RunTimer

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=Callback)

NO_LABEL = 0.1
"""Share of the training crops that come without their label, so that the network learns what no label means."""


def data_of(trainer: pl.Trainer) -> AudioDataModule:
    """Return the data of a trainer that fits or scores."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(data, AudioDataModule)
    return data


def callbacks_of(trainer: pl.Trainer, kind: type[Kind]) -> list[Kind]:
    """Return the callbacks of a trainer that are of a class."""
    return [each for each in trainer.callbacks if isinstance(each, kind)]  # type: ignore[attr-defined]


def ends_step(trainer: pl.Trainer) -> bool:
    """Return whether an optimizer step follows the batch under way: the last one of its accumulation window."""
    batch = trainer.fit_loop.batch_idx
    return (batch + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch


class AudioModule(pl.LightningModule):
    """Training and scoring of any network: mean cross entropy over the targets that count.

    Args:
        network: The network that is trained.
        lr: Learning rate of Adam, at the peak of its schedule.
        eps: Term that Adam adds to its denominator.
        beta2: Decay rate of Adam's average of squared gradients.
        weight_decay: Weight decay of AdamW, not on biases; 0 is Adam. Weights that Muon updates decay at its rate.
        warmup: Share of all steps in which the rate rises to `lr`.
        anneal: After the warm-up, reduce the rate to zero at the last step, along half a cosine.
        muon: Learning rate of Muon at the peak of the schedule, which scales both. Muon updates the weights between
            hidden frames, Adam the others; 0 uses Adam for all.
        code_frequency: Above 0, rows of the first convolution are initialised as cosines of the code, whose frequencies
            have this standard deviation: neighbouring codes start as neighbours. 0, as published, starts at random.
        label_names: Labels of recordings in the order of their numbers, which start at 1; None trains without labels.
        checkpoint_activations: Recompute activations in the backward pass: less memory, slower steps.
        compile: Train with torch.compile: a minute or two to compile, then faster steps on a GPU, not on a CPU. `auto`
            does so on a GPU if 3,000 steps or more remain.
    """

    def __init__(
        self,
        network: Network,
        lr: float = 5e-4,
        eps: float = 1e-8,
        beta2: float = 0.999,
        weight_decay: float = 0.0,
        warmup: float = 0.0,
        anneal: bool = False,
        muon: float = 0.0,
        code_frequency: float = 0.0,
        label_names: list[str] | None = None,
        checkpoint_activations: bool = False,
        compile: Compile = "auto",
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["network"])
        if code_frequency < 0:
            raise UsageError(f"code_frequency is {code_frequency}, but must be 0 or more")
        if code_frequency:
            for layer in network.modules():
                if isinstance(layer, CodeConv):
                    layer.start_smooth(code_frequency)
        self.label_names = label_names or []
        if self.label_names:
            network.select_labels([0] * len(self.label_names))
        self._labels: dict[str, Tensor] = {}  # of each recording, by split
        self.network = network
        network.checkpoint_activations = checkpoint_activations
        self._compilation = Compilation(compile)
        self.optimization = Optimization(lr, eps, beta2, weight_decay, warmup, anneal, muon)
        self.lr = lr  # where Lightning's learning rate finder looks
        self.val_bits, self.val_accuracy, self.test_bits, self.test_accuracy = Mean(), Mean(), Mean(), Mean()
        self.batch_targets = torch.tensor(0)
        """Targets of the newest training batch that count, in all processes."""
        self.batch_bits = torch.tensor(0.0)
        """Mean bits per sample over these targets."""
        self._window_targets = torch.tensor(0.0)  # mean over processes, of the accumulated batches so far
        self._nominal = 1  # divisor of the loss until the targets of the whole accumulation window are counted

    def setup(self, stage: str) -> None:
        """Look up the labels of the recordings. Those that the network does not know are no label, with a warning."""
        if not self.label_names:
            return
        data, numbers = data_of(self.trainer), {"": 0} | {name: n for n, name in enumerate(self.label_names, 1)}
        scored = {"fit": "val", "validate": "val", "test": "test"}.get(stage)
        for split in data.splits.keys() - self._labels.keys():
            labels = data.recording_labels(split)
            unknown = [label for label in labels if not numbers.get(label)]
            if unknown and split in ("train", scored):
                text = "%s: %d of %d recordings have no label of the network (%s), and count as no label"
                names = sorted({label or "none given" for label in unknown})
                rank_zero_only(log.warning)(text, split, len(unknown), len(labels), ", ".join(names))
            self._labels[split] = torch.tensor([numbers.get(label, 0) for label in labels], dtype=torch.int64)

    def recording_labels(self, split: str) -> NDArray[np.int64]:
        """Return the number of the label of each recording of a split (N,), 0 for none, from `setup` on."""
        return self._labels[split].numpy() if self.label_names else np.empty(0, np.int64)

    def labels(self, batch: Batch, split: str) -> Tensor | None:
        """Return the labels (B,) of crops of a split, None without labels."""
        return self._labels[split].to(self.device)[batch.recordings] if self.label_names else None

    def _training_labels(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the labels of crops, a tenth of which become 0: a function of the seed and the batch alone."""
        labels = self.labels(batch, "train")
        if labels is None:
            return None
        key = [data_of(self.trainer).hparams["seed"], self.current_epoch, batch_idx, self.global_rank]
        kept = np.random.default_rng(key).random(len(labels)) >= NO_LABEL
        return labels * torch.from_numpy(kept).to(labels.device)

    def on_train_start(self) -> None:
        """Compile for training; scoring alone is not worth the time to compile."""
        self._compilation.begin(self.trainer, self.network)

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, window.inputs), of labels (B,), to logits (B, Q, window.outputs) of the codes after them."""
        return self.network(codes, labels)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean negative log-likelihood in nats over the targets of all processes that count.

        With accumulated batches the divisor is nominal; `on_after_backward` corrects it at the end of the window.
        """
        targets, ranks = batch.valid.sum(), self.trainer.world_size
        if ranks > 1:  # gradients are averaged over processes, whose numbers of targets may differ
            targets = self.trainer.strategy.reduce(targets, reduce_op="sum")
        count = targets / ranks
        total = self._compilation.loss(self.network, batch, self._training_labels(batch, batch_idx))
        loss = total / count
        bits = loss.detach() / math.log(2)
        if ranks > 1:
            bits = self.trainer.strategy.reduce(bits, reduce_op="mean")
        self.batch_targets, self.batch_bits = targets, bits
        size = len(batch.codes)
        self.log("train/bits_per_sample", bits, batch_size=size)
        self.log("bits", bits, prog_bar=True, logger=False, batch_size=size)  # a name that fits a terminal
        accumulated = self.trainer.accumulate_grad_batches
        if accumulated == 1:
            return loss
        if batch_idx % accumulated == 0:
            self._window_targets, self._nominal = torch.zeros_like(count), batch.codes.numel()
        self._window_targets = self._window_targets + count
        return total * (accumulated / self._nominal)  # Lightning divides by the number of accumulated batches

    def on_after_backward(self) -> None:
        """Divide accumulated gradients by the targets of all batches of the window, the last, incomplete one too."""
        if self.trainer.accumulate_grad_batches > 1 and ends_step(self.trainer):
            for parameter in self.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(self._nominal / self._window_targets)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._score(batch, "val", self.val_bits, self.val_accuracy)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Score a batch of the test split; gives nats, margins and which targets count, each (B, N)."""
        return self._score(batch, "test", self.test_bits, self.test_accuracy)

    def _score(self, batch: Batch, split: str, bits: Mean, accuracy: Mean) -> dict[str, Tensor]:
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        with nullcontext() if fitting else float32_products(tf32=False):
            logits = self.network.scored_logits(batch.codes[:, :-1], self.labels(batch, split))
        targets, mask = targets_and_mask(batch, logits.shape[-1])
        scored = {"nats": nats(logits, targets), "margins": margins(logits, targets), "mask": mask}
        bits.update(scored["nats"].double() / math.log(2), mask)
        accuracy.update(scored["margins"] == 0, mask)
        size = len(batch.codes)
        self.log(f"{split}/bits_per_sample", bits, batch_size=size)
        self.log(f"{split}/accuracy", accuracy, batch_size=size)
        return scored

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """See LightningModule. Gradients are freed at once: the next forward pass can use their memory."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        optimizer.zero_grad()

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]
        """The optimizer, and its schedule over all steps that the trainer will take, where there is one."""
        optimizer = self.optimization.optimizer(self.network, self.lr, fused=self._fuses())
        if not self.optimization.scheduled:
            return {"optimizer": optimizer}
        steps = self.trainer.estimated_stepping_batches
        timers = [each for each in callbacks_of(self.trainer, RunTimer) if each.time_remaining() is not None]
        if not math.isfinite(steps) and not timers:
            raise UsageError("--anneal and --warmup need a length: give --max_steps, --epochs above 0, or --minutes")
        schedule = self.optimization.schedule(optimizer, steps, (lambda: timers[0].share) if timers else None)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _fuses(self) -> bool:
        """Return whether the optimizer is fused: in float16 gradients would still be scaled where their norm is logged.

        In mixed precision Lightning does not clip the gradients of a fused one.
        """
        try:
            precision, clips = str(self.trainer.precision), bool(self.trainer.gradient_clip_val)
        except RuntimeError:  # not attached to a trainer
            return True
        return precision != "16-mixed" and not (clips and precision == "bf16-mixed")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the name of the network, so that a checkpoint is enough to build it."""
        checkpoint["network"] = registry.name_of(self.network)


class NetworkModule(AudioModule):
    """The LightningModule of a class of networks. Its arguments are those of the class and, by name, of AudioModule."""

    network_class: ClassVar[type[Network]]

    def __init__(self, *shape: Any, **settings: Any) -> None:
        names = inspect.signature(self.network_class).parameters
        named = {name: settings.pop(name) for name in names if name in settings}
        super().__init__(self.network_class(*shape, **named), **settings)
        self.save_hyperparameters(self.network.arguments)


@cache
def module_class(name: str) -> type[NetworkModule]:
    """Return the LightningModule of a registered network."""
    network = registry.network_class(name)
    return type(f"{network.__name__}Module", (NetworkModule,), {"network_class": network})


SeqUNetModule, WaveNetModule = module_class("sequnet"), module_class("wavenet")
"""The modules of the published networks."""
REVISABLE = ("checkpoint_activations", "compile")
"""Settings of how a module computes, not of what: a resumed run may change them."""
