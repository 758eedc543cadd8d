"""8-bit mu-law: float samples in [-1, 1] to codes 0..255 and back (ITU-T G.711 companding with mu = 255)."""

import numpy as np
from numpy.typing import NDArray

CLASSES = 256
"""Number of codes, the classes that the networks choose from."""
SILENCE = 128
"""The code of a sample of 0; what lies before a recording's start."""

_MU = CLASSES - 1
_COMPANDED = np.arange(CLASSES) / _MU * 2 - 1
_TABLE = (np.sign(_COMPANDED) * np.expm1(np.abs(_COMPANDED) * np.log1p(_MU)) / _MU).astype(np.float32)


def encode(samples: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Samples of any shape to codes of that shape; samples outside [-1, 1] are clipped (resampling overshoots)."""
    clipped = np.clip(samples, -1.0, 1.0)
    companded = np.sign(clipped) * np.log1p(_MU * np.abs(clipped)) / np.log1p(_MU)
    return ((companded + 1) / 2 * _MU + 0.5).astype(np.uint8)


def decode(codes: NDArray[np.integer]) -> NDArray[np.float32]:
    """Codes of any shape to float32 samples in [-1, 1] of that shape (code 128 gives 8.6e-5, not 0)."""
    return _TABLE[codes]
