"""Convolutions over codes as what they are, sums of table rows, alone and gated; their backward keeps the codes alone.

Letters: B batch, T time in frames, C channels, K kernel, Q = 256 classes.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sequnet_pl.models.convolution import empty, pieces
from sequnet_pl.models.gated import activate, activation_gradient, compute_dtype, empty_activations


class _Table:
    """Sums of K rows of a table (K, Q, C), one for each tap, and the bias; gradients in the type of the table.

    In lower precision gradients of rows that are read so often would stand still.
    """

    def __init__(self, table: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        self.taps, self._classes, self.channels = table.shape
        self.reach = self.taps - 1
        self._rows, self._bias = table.to(dtype).flatten(0, 1), bias
        self.gradients = torch.zeros_like(table, memory_format=torch.contiguous_format), torch.zeros_like(bias)

    def room(self, codes: Tensor) -> Tensor:
        """An uninitialized (B, C, T - K + 1)."""
        return empty(self._rows.new_empty(len(codes), 0), self.channels, codes.shape[-1] - self.reach)

    def __call__(self, codes: Tensor) -> Tensor:
        """Codes (B, T) to (B, C, T - K + 1)."""
        rows = codes.long().unfold(1, self.taps, 1) + self._classes * torch.arange(self.taps, device=codes.device)
        sums = F.embedding_bag(rows.flatten(0, 1), self._rows, mode="sum").add_(self._bias)
        return sums.view(*rows.shape[:2], -1).transpose(1, 2)

    def backward(self, grad: Tensor, codes: Tensor) -> None:
        """Add to the gradients, given that of the sums (B, C, T')."""
        by_table, by_bias = self.gradients
        grad = grad.transpose(1, 2).to(by_table.dtype).contiguous()
        by_bias += grad.sum((0, 1))
        for tap, by_tap in enumerate(by_table):
            read = codes[:, tap : tap + grad.shape[1]]
            if grad.is_cuda:  # sorts, where threads that add to the same few rows would wait for each other
                by_tap += torch.ops.aten.embedding_dense_backward(grad, read.long(), self._classes, -1, False)
            else:
                by_tap.index_add_(0, read.int().flatten(), grad.flatten(0, 1))


def _window(codes: Tensor, piece: slice, reach: int) -> Tensor:
    """The codes that a piece of sums is of, where a sum reads `reach` codes before its own."""
    return codes[:, piece.start : piece.stop + reach]


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, table: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(codes, table, bias)
        sums = _Table(table, bias, dtype)
        out = sums.room(codes)
        for piece in pieces(out, out.shape[-1]):
            out[..., piece] = sums(_window(codes, piece, sums.reach))
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        codes, table, bias = ctx.saved_tensors
        sums = _Table(table, bias, grad.dtype)
        for piece in pieces(grad, grad.shape[-1]):
            sums.backward(grad[..., piece], _window(codes, piece, sums.reach))
        return None, *sums.gradients, None


def lookup(codes: Tensor, table: Tensor, bias: Tensor) -> Tensor:
    """Codes (B, T) to (B, C, T - K + 1): sums of K rows of the table (K, Q, C), one for each tap, and the bias."""
    return _Lookup.apply(codes, table, bias, compute_dtype(table))


class _GatedLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, dtype: torch.dtype, *tables: Tensor) -> Tensor:
        ctx.save_for_backward(codes, *tables)
        identity, both = _tables(tables, dtype)
        late = codes[:, both.reach - identity.reach :]
        out = identity.room(late)
        for piece in pieces(out, out.shape[-1]):
            sums = identity(_window(late, piece, identity.reach))
            out[..., piece] = sums.addcmul_(*_looked_up(both, codes, piece, out))
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        codes, *tables = ctx.saved_tensors
        identity, both = _tables(tables, grad.dtype)
        late = codes[:, both.reach - identity.reach :]
        for piece in pieces(grad, grad.shape[-1]):
            part = grad[..., piece]
            identity.backward(part, _window(late, piece, identity.reach))
            activated = _looked_up(both, codes, piece, part)  # cheaper to look up than to keep
            both.backward(activation_gradient(part, activated), _window(codes, piece, both.reach))
        return None, None, *identity.gradients, *both.gradients


def _tables(tables: Sequence[Tensor], dtype: torch.dtype) -> tuple[_Table, _Table]:
    """The identity's, and that of filter and gate."""
    identity, identity_bias, both, bias = tables
    return _Table(identity, identity_bias, dtype), _Table(both, bias, dtype)


def _looked_up(both: _Table, codes: Tensor, piece: slice, like: Tensor) -> Tensor:
    activated = empty_activations(like, both.channels // 2, piece.stop - piece.start)
    activate(both(_window(codes, piece, both.reach)), activated)
    return activated


def gated_lookup(codes: Tensor, identity: Tensor, identity_bias: Tensor, both: Tensor, bias: Tensor) -> Tensor:
    """A gated residual layer on codes (B, T) whose identity and convolution are tables with biases: (B, C, T')."""
    return _GatedLookup.apply(codes, compute_dtype(both), identity, identity_bias, both, bias)
