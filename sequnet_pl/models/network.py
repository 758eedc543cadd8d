"""The interface of a network: all that training, sampling and evaluation use.

Letters: B batch, T time in samples, Q = 256 classes. Sequences are aligned at their end: the last code of a window is
at time 0, the first step after it at time 1.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.errors import UsageError
from sequnet_pl.models.layers import CodeConv
from sequnet_pl.models.precision import float32_products
from sequnet_pl.models.state_space import StateSpace


class Window(NamedTuple):
    """Sizes of one forward pass, in samples."""

    inputs: int
    outputs: int


def check_sizes(least: int, **sizes: int) -> None:
    """Raise UsageError for the first size below `least`."""
    for name, value in sizes.items():
        if value < least:
            raise UsageError(f"{name} is {value}, but must be {least} or more")


def _map(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, list):
        return [_map(item, function) for item in value]
    return function(value) if isinstance(value, Tensor) else value


@dataclass
class State:
    """State of a network between two steps. It belongs to the caller, and `Network.step` updates it in place.

    A state is a time and (nested lists of) tensors whose first dimension is the batch. Its `vars` can be written with
    `torch.save`, read back with `weights_only=True` and given to the class again.
    """

    time: int
    labels: Tensor | None = field(default=None, kw_only=True)
    """(B,) int64, the label of each clip, which `Network.step` reads; 0, or None for all clips, is no label."""

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Return a new state with `function` applied to each tensor: to move, copy, or choose clips of the batch."""
        return type(self)(**{each.name: _map(getattr(self, each.name), function) for each in fields(self)})


class Network(nn.Module, ABC):
    """A causal network that predicts the next mu-law code from the codes so far, and from a label where it has labels.

    Labels are numbers from 1 on; 0 is no label, and so is None for a whole batch. Each network sets `receptive_field`
    (samples, the largest over all phases, as gradients show it; None where it is unbounded) and `cycle` (steps after
    which the pattern of a step repeats).
    """

    receptive_field: int | None
    cycle: int
    score_context = 0
    """Samples that validation and test read before those that they score, where the receptive field is unbounded."""
    arguments: dict[str, Any]
    """Those that the network was made with, defaults included."""
    checkpoint_activations = False
    """True if `forward` stores only the inputs of each level or block, and recomputes the rest for the gradients."""

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Return a network that keeps its arguments; a copy is made without any."""
        network = super().__new__(cls)
        bound = inspect.signature(cls).bind_partial(*arguments, **named)
        bound.apply_defaults()
        network.arguments = dict(bound.arguments)
        return network

    @property
    def input_layer(self) -> CodeConv | None:
        """The layer to whose frames labels are added; None in a network that takes no labels."""
        return None

    @property
    def label_count(self) -> int:
        """Number of labels, without "no label"; 0 where there are none."""
        rows = None if self.input_layer is None else self.input_layer.label_rows
        return 0 if rows is None else len(rows) - 1

    def select_labels(self, numbers: Sequence[int]) -> None:
        """Keep the labels of these numbers, in this order. A number of 0 makes a new label, which is like no label.

        Raises:
            UsageError: The network takes no labels.
        """
        if self.input_layer is not None:
            self.input_layer.select_labels(numbers)
        elif numbers:
            raise UsageError(f"{type(self).__name__} takes no labels: it has no input_layer")

    def pattern(self, time: int) -> int:
        """Return a time of 0 or more, the same for all times at which `step` does the same with the same tensors.

        Engines record a step for each pattern and replay it. By default patterns repeat after a cycle.
        """
        return time % self.cycle

    def _run(self, part: Callable[..., Any], *inputs: Any) -> Any:
        """Run a level or block of `forward`."""
        if self.checkpoint_activations:
            return checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)  # there is no randomness
        return part(*inputs)

    def matrices(self) -> dict[int, list[Tensor]]:
        """Return the weights (C', ...) that Muon moves, by the number of matrices (C' / count, ...) in each.

        They are those between hidden frames; by default there are none.
        """
        return {}

    @abstractmethod
    def window(self, outputs: int) -> Window:
        """Return window sizes for at least `outputs` outputs, rounded up to whole cycles. ValueError below 1."""

    def scoring_window(self, outputs: int) -> Window:
        """Return the sizes of windows for validation and test: those for training, after `score_context` samples."""
        window = self.window(outputs)
        return Window(self._unscored + window.inputs, window.outputs)

    def scored_logits(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map codes (B, inputs) of a scoring window, and labels (B,), to the logits (B, Q, outputs) of its outputs."""
        return self(codes, labels)[..., self._unscored :]

    @property
    def _unscored(self) -> int:
        """The score context in whole cycles, each of whose codes has an output."""
        return self.window(self.score_context).inputs if self.score_context else 0

    def context(self, codes: int) -> int:
        """Return how many of the last codes of a prompt of `codes` are read: all where the past is unbounded."""
        return codes if self.receptive_field is None else self.window(1).inputs

    def slow_parameters(self) -> list[Tensor]:
        """Return parameters that Adam moves at 0.4 of its rate, without weight decay: those of recurrences."""
        return [each for layer in self.modules() if isinstance(layer, StateSpace) for each in layer.slow_parameters()]

    @abstractmethod
    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map codes (B, inputs), uint8 or int64, to logits (B, Q, outputs); logits[..., i] predict the next code.

        `labels` (B,) are int64.

        ValueError where `inputs` is not the size of a window.
        """

    @abstractmethod
    def step(self, code: Tensor, state: State) -> Tensor:
        """Read one code (B,) of each clip and return logits (B, Q) of the next. Advances `state` by one, in place."""

    def silence(self, batch: int, time: int = 0, labels: Tensor | None = None) -> State:
        """Return the state of `batch` clips, of labels (B,), after endless silence (code 128), at `time`.

        This default is for networks that compute the same at all times, and whose state is their last window.
        """
        with torch.no_grad():
            _, state = self.read_window(self._silent_codes(batch, self.window(1).inputs), labels)
        state.time = time
        return state

    @abstractmethod
    def read_window(self, codes: Tensor, labels: Tensor | None = None) -> tuple[Tensor, State]:
        """Return logits (B, Q) after the last code of a window, and the state at its end, time 0, with the labels."""

    @float32_products(tf32=False)
    @torch.no_grad()
    def prefill(self, codes: Tensor, labels: Tensor | None = None) -> tuple[Tensor, State]:
        """Read a prompt (B, T), any T >= 1, of labels (B,), in one pass. Returns logits (B, Q) of the code after it,
        and the state at time 0.

        Context before the prompt is silence. Of a long prompt only the last window(1).inputs codes count; where the
        receptive field is unbounded, all do.
        """
        if codes.shape[-1] < 1:
            raise ValueError("a prompt has at least one code")
        inputs = self.window(codes.shape[-1] if self.receptive_field is None else 1).inputs
        codes = codes[:, -inputs:]
        return self.read_window(nn.functional.pad(codes, (inputs - codes.shape[-1], 0), value=SILENCE), labels)

    def _silent_codes(self, batch: int, count: int) -> Tensor:
        return torch.full((batch, count), SILENCE, device=next(self.parameters()).device)
