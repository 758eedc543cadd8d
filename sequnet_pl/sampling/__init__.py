"""Networks to sound; needs a network and its state, never a Trainer."""

from sequnet_pl.sampling.generate import generate

__all__ = ["generate"]
