"""The scores of a test on the terminal."""

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sequnet_pl.report.scores import NETWORK, TABLE, Scores, bits, percent

_SHOWN = 3  # recordings from either end


def print_scores(console: Console, scores: Scores) -> None:
    """Print bits per sample beside what is normal, the worst and the best recordings, and two figures more."""
    table = Table("", Column("bits per sample", justify="right"))
    for name, value in scores.bits_per_sample.items():
        table.add_row(name, bits(value))
    console.print(table)
    worst, best = scores.ends(_SHOWN)
    header = (Column(name, justify="right") for name in ("seconds", NETWORK, TABLE))
    table = Table(Column("recording", overflow="fold"), *header)
    for group in (worst, best):
        for one in group:
            seconds = f"{one.samples / scores.sample_rate:.2f}"
            table.add_row(Text(one.name), seconds, bits(one.bits_per_sample), bits(one.table_bits_per_sample))
        table.add_section()
    console.print(table)
    error = percent(scores.expected_calibration_error)
    console.print(f"accuracy {percent(scores.accuracy)}, calibration error {error}", highlight=False)
