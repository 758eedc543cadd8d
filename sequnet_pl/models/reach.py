"""How far a Seq-U-Net looks back, by its kernel and the depth of each level, from the finest to the bottleneck."""

import numpy as np


def window_inputs(depths: list[int], kernel_size: int, outputs: int) -> int:
    """Codes of a window of so many outputs, a multiple of the cycle; sizes grow from the output to the input."""
    reach = kernel_size - 1  # frames that a convolution drops
    *depths, bottleneck = depths
    size = outputs
    for depth in depths:
        size = -(-(size + depth * reach + reach) // 2)
    size += bottleneck * reach
    for depth in reversed(depths):
        size = 2 * (size - 1) + 1 + reach + depth * reach
    return size + reach


def receptive_field(depths: list[int], kernel_size: int) -> int:
    """Codes that the outputs of a cycle see at the most: the reach of each level, by phase, up to the output."""
    taps = np.arange(kernel_size)
    *depths, bottleneck = depths
    # samples back from a frame to the first code that it sees
    reach = 1 + bottleneck * 2 ** len(depths) + sum((depth + 1) * 2**level for level, depth in enumerate(depths))
    lags = np.array([reach * taps[-1]])  # by phase of the frame in the cycle

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
