"""Generated clips against held-out recordings: how the sound compares, by measures that need no other network."""

from sequnet_pl.evaluate.comparison import compare

__all__ = ["compare"]
