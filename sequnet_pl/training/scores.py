"""The test's score, told beside what is normal."""

import json
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.table import Table

from sequnet_pl import atomic
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.entropy import pair_counts, table_entropies


class ScoreTable(Callback):
    """Tells the test's score beside what is normal: a uniform guess, and tables of codes learnt on train.

    Args:
        folder: Where `test.json` goes, the run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the score where validation is all that was asked for."""
        if trainer.is_global_zero and trainer.state.fn == "validate":
            Console().print({name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the table and write it to `test.json` in the run folder."""
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, AudioDataModule)
        single, pairs = table_entropies(pair_counts(data.splits["train"]), pair_counts(data.splits["test"]))
        scores = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
        bits = {
            "uniform guess": 8.0,
            "table of single codes": single,
            "table of codes given the one before": pairs,
            "this network": scores["test/bits_per_sample"],
        }
        table = Table("", "bits per sample")
        for name, value in bits.items():
            table.add_row(name, f"{value:.3f}")
        Console().print(table)
        atomic.write_text(self.folder / "test.json", json.dumps({"bits_per_sample": bits, **scores}, indent=2))
