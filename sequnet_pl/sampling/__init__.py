"""Sampling from networks; independent of Lightning."""

from sequnet_pl.sampling.generate import generate

__all__ = ["generate"]
