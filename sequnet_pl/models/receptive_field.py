"""Window size and receptive field of a Seq-U-Net, from its kernel and the depth of each level, the finest first."""

import numpy as np


def window_inputs(depths: list[int], kernel_size: int, outputs: int) -> int:
    """Return the inputs of a window for `outputs`, a multiple of the cycle, computed from output to input."""
    dropped = kernel_size - 1  # frames that a convolution drops
    *depths, bottleneck = depths
    size = outputs
    for depth in depths:
        size = -(-(size + depth * dropped + dropped) // 2)
    size += bottleneck * dropped
    for depth in reversed(depths):
        size = 2 * (size - 1) + 1 + dropped + depth * dropped
    return size + dropped


def receptive_field(depths: list[int], kernel_size: int) -> int:
    """Return the largest receptive field over the phases of a cycle, in samples."""
    taps = np.arange(kernel_size)
    *depths, bottleneck = depths
    # samples from a frame back to the first code in its receptive field, for each tap
    lag = 1 + bottleneck * 2 ** len(depths) + sum((depth + 1) * 2**level for level, depth in enumerate(depths))
    lags = np.array([lag * taps[-1]])  # by phase of the frame in the cycle

    def back(lags: np.ndarray, taps: np.ndarray, spacing: int) -> np.ndarray:
        return np.max([np.roll(lags, tap) + tap * spacing for tap in taps], axis=0)

    for level, depth in reversed(list(enumerate(depths))):
        coarse = 2 ** (level + 1)
        even = back(lags, taps[: kernel_size // 2 + 1], coarse)
        odd = back(lags, taps[: kernel_size // 2], coarse) + 2**level
        lags = np.stack((even, odd), axis=-1).reshape(-1)
        for _ in range(depth):
            lags = back(lags, taps, 2**level)
    return int(lags.max()) + 1
