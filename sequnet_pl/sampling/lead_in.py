"""The silence before the first sound of a clip that starts from silence.

T time in samples.
"""

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.audio import mulaw
from sequnet_pl.report.clip import SILENT_BELOW

_FRAME = 0.02  # seconds


class LeadIn:
    """Holds the samples of a clip until its first 20 ms above -60 dBFS.

    Args:
        rate: Samples a second.
        seconds: Length after which a silent clip is given up; 0 holds nothing.
    """

    def __init__(self, rate: int, seconds: float) -> None:
        self._frame = round(_FRAME * rate)
        self.limit = round(seconds * rate)
        """Samples after which a silent clip is given up."""
        self.cut: NDArray[np.uint8] | None = None if self.limit else np.empty(0, np.uint8)
        """Codes (T,) before the clip; None while no sound has come."""
        self._codes, self._nats = np.empty(0, np.uint8), np.empty(0, np.float32)
        self._searched = 0

    @property
    def is_silent(self) -> bool:
        """Whether the limit is reached without a sound."""
        return self.cut is None and len(self._codes) >= self.limit

    def add(self, codes: NDArray[np.uint8], nats: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Take the next samples (T,) and their negative log-likelihoods; return those that belong to the clip."""
        if self.cut is not None:
            return codes, nats
        self._codes, self._nats = np.concatenate((self._codes, codes)), np.concatenate((self._nats, nats))
        end = min(len(self._codes), self.limit) // self._frame * self._frame
        frames = mulaw.decode(self._codes[self._searched : end]).reshape(-1, self._frame)
        loud = np.flatnonzero(np.square(frames, dtype=np.float64).mean(axis=1) > 10 ** (SILENT_BELOW / 10))
        if not len(loud):
            self._searched = end
            return codes[:0], nats[:0]
        return self._release(self._searched + int(loud[0]) * self._frame)

    def keep_silence(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return all that was held: the clip stays silent, and nothing is cut."""
        return self._release(0)

    def _release(self, begin: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        codes, nats = self._codes, self._nats
        self.cut, self._codes, self._nats = codes[:begin], codes[:0], nats[:0]
        return codes[begin:], nats[begin:]
