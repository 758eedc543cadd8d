"""LightningModules of the published networks."""

from sequnet_pl.training.module import module_class

SeqUNetModule, WaveNetModule = module_class("sequnet"), module_class("wavenet")
