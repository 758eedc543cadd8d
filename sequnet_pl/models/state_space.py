"""State-space layers: a memory without an end, for whole sequences and frame by frame (S4D, Gu et al. 2022).

Letters: B batch, T time in frames, H channels, N states of a channel as complex conjugate pairs, P period in frames.
All sequences follow endless silence, and come with one period of what it gives, (1, P, H): a layer responds to the
difference from it, starting from zero.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CHUNK = 256  # frames over which the state of a long sequence is computed at once


class StateSpace(nn.Module):
    """S4D-Lin: x' = A x + u, y = 2 Re(C x) + D u for each channel, by zero-order hold of a learnt step."""

    def __init__(self, width: int, state: int, spacing: float = 1.0) -> None:
        super().__init__()
        pairs = state // 2
        low, high = math.log(0.001 * spacing), math.log(0.1 * spacing)
        self.log_step = nn.Parameter(low + (high - low) * torch.rand(width))
        self.log_decay = nn.Parameter(torch.full((width, pairs), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(float(pairs)).repeat(width, 1))
        self.output = nn.Parameter(torch.randn(width, pairs, 2) * math.sqrt(0.5))
        self.direct = nn.Parameter(torch.randn(width))

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return steps, decays and frequencies, which are learnt at a lower rate."""
        return [self.log_step, self.log_decay, self.frequency]

    def exponents_and_gains(self) -> tuple[Tensor, Tensor]:
        """Return the logarithm of A's discrete form (H, N), complex, and the gain of an input (H, N), complex."""
        poles = torch.complex(-self.log_decay.exp(), self.frequency)
        exponents = poles * self.log_step.exp().unsqueeze(-1)
        return exponents, torch.expm1(exponents) / poles

    def _kernel(self, exponents: Tensor, gains: Tensor, length: int) -> Tensor:
        """Return 2 Re(sum over n of gains exp(l exponents)) as (H, length), by powers of two sizes."""
        size = max(1, math.isqrt(length))
        rows = torch.arange(-(-length // size), device=gains.device) * size
        coarse = gains.unsqueeze(-1) * torch.exp(exponents.unsqueeze(-1) * rows)  # (H, N, rows)
        fine = torch.exp(exponents.unsqueeze(-1) * torch.arange(size, device=gains.device))  # (H, N, size)
        left = torch.cat((coarse.real, -coarse.imag), dim=1).transpose(1, 2)
        right = torch.cat((fine.real, fine.imag), dim=1)
        return 2 * (left @ right).flatten(1)[:, :length]

    def forward(self, x: Tensor, silent: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (B, T, H), after silence, and silent (1, P, H) to the responses."""
        kind = x.dtype
        with torch.autocast(x.device.type, enabled=False):
            x, silent = (each.to(torch.promote_types(kind, torch.float32)) for each in (x, silent))
            exponents, gains = self.exponents_and_gains()
            gains = gains * torch.view_as_complex(self.output)
            period, length = silent.shape[1], x.shape[1]
            kernel = self._kernel(exponents, gains / -torch.expm1(period * exponents), period)  # (H, P)
            silent_out = _convolved(silent, kernel, period) + self.direct * silent
            change = x - tiled(silent, length)
            kernel = self._kernel(exponents, gains, length)
            out = _convolved(change, kernel, 2 * length)[:, :length] + self.direct * change
            out = out + tiled(silent_out, length)
        return out.to(kind), silent_out.to(kind)

    def state_after(self, x: Tensor, silent: Tensor) -> Tensor:
        """Return the state (B, H, N, 2) after whole periods of frames x (B, T, H), which follow silence (1, P, H)."""
        exponents, gains = self.exponents_and_gains()
        total = gains.new_zeros(len(x), *gains.shape)
        for part in (x - tiled(silent, x.shape[1])).split(_CHUNK, dim=1):
            total = total * torch.exp(part.shape[1] * exponents) + gains * self._sum(exponents, part)
        return self.silent_state(silent, 0) + torch.view_as_real(total.contiguous())

    def silent_state(self, silent: Tensor, ahead: int) -> Tensor:
        """Return the state (1, H, N, 2) after endless silence (1, P, H) and the first `ahead` frames of a period."""
        exponents, gains = self.exponents_and_gains()
        period = silent.roll(-ahead, dims=1)
        weight = gains / -torch.expm1(silent.shape[1] * exponents)
        return torch.view_as_real((weight * self._sum(exponents, period)).contiguous())

    @staticmethod
    def _sum(exponents: Tensor, x: Tensor) -> Tensor:
        """Return the sum over frames (B, T, H), the newest with weight 1, as (B, H, N), complex."""
        back = torch.arange(x.shape[1] - 1, -1, -1, device=x.device)
        weights = torch.exp(exponents.unsqueeze(-1) * back)  # (H, N, T)
        return torch.einsum("hnt,bth->bhn", weights, x.to(weights.dtype))

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        """Respond to a frame x (B, H); updates the state."""
        exponents, gains = self.exponents_and_gains()
        held = torch.view_as_complex(state)
        held.copy_(held * torch.exp(exponents) + gains * x.unsqueeze(-1))
        return 2 * (held * torch.view_as_complex(self.output)).real.sum(-1) + self.direct * x


class Block(nn.Module):
    """A residual state-space layer with a gated linear unit, then a residual feed-forward layer.

    Args:
        width: Channels.
        state: States of a channel; even.
        norm: Makes the module, for so many channels, that normalises what each of the two layers reads.
        spacing: Time between two frames, in which steps are initialised: at a lower rate as long a memory is fewer
            frames.
    """

    def __init__(self, width: int, state: int, norm: Callable[[int], nn.Module], spacing: float = 1.0) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = norm(width), norm(width)
        self.memory = StateSpace(width, state, spacing)
        self.gate = nn.Linear(width, 2 * width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, silent: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (B, T, H) and silent (1, P, H)."""
        remembered = self.memory(self.norm_1(x), self.norm_1(silent))
        return self._rest(x, remembered[0]), self._rest(silent, remembered[1])

    def matrices(self) -> dict[int, list[Tensor]]:
        """See Network: feed-forward layers and the halves of the gated linear unit."""
        return {1: [self.wide.weight, self.narrow.weight], 2: [self.gate.weight]}

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        """Map a frame x (B, H); updates the state."""
        return self._rest(x, self.memory.step(self.norm_1(x), state))

    def _rest(self, x: Tensor, remembered: Tensor) -> Tensor:
        x = x + F.glu(self.gate(F.gelu(remembered)), dim=-1)
        return x + self.narrow(F.gelu(self.wide(self.norm_2(x))))


def _convolved(x: Tensor, kernel: Tensor, size: int) -> Tensor:
    """Return the circular convolution over `size` frames of x (B, T, H), T <= size, with kernel (H, T)."""
    spectrum = torch.fft.rfft(x, n=size, dim=1) * torch.fft.rfft(kernel, n=size).T
    return torch.fft.irfft(spectrum, n=size, dim=1)


def tiled(silent: Tensor, length: int) -> Tensor:
    """Repeat a period of silence (B, P, H) to `length` frames, or more, to whole periods."""
    return silent.repeat(1, -(-length // silent.shape[1]), 1)
