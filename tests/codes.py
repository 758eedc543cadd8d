"""The codes of a split, whose recordings lie anywhere in the file of their store."""

import numpy as np

from sequnet_pl.data.store import Split


def codes_of_split(split: Split) -> np.ndarray:
    """Return all codes of a split, recording by recording."""
    return np.concatenate([split.codes[r.offset : r.offset + r.length] for r in split.recordings])
