"""The progress bars of sample.py."""

import logging
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sequnet_pl.sampling.engines import Block

log = logging.getLogger(__name__)


class SampleProgress:
    """A bar over the samples of all clips, with samples a second and the factor to real time.

    Args:
        total: Samples in all.
        rate: Samples of a second of sound.
        live: Say once where sound is made more slowly than it is heard.
    """

    def __init__(self, total: int, rate: int, live: bool) -> None:
        self._rate, self._warn = rate, live
        self.drawn, self.seconds = 0, 0.0
        self._since = time.perf_counter()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"))
        console = Console(stderr=True)
        self._bar = Progress(
            *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._bar.add_task("", total=total, speed="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def speed(self) -> str:
        """Samples a second so far, of all clips together, and the factor to real time."""
        speed = self.drawn / max(self.seconds, 1e-9)
        return f"{speed:,.0f} samples/s, {speed / self._rate:.2f} x real time"

    def begin(self, text: str) -> None:
        """A batch begins: its prompts are read."""
        self._since = time.perf_counter()
        self._bar.update(self._task, description=text)

    def advance(self, block: Block) -> None:
        """One more block is drawn."""
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now
        self.drawn += block.codes.numel()
        self._bar.update(self._task, advance=block.codes.numel(), speed=self.speed)
        if self._warn and self.seconds > 1:
            self._warn = False
            if self.drawn < self.seconds * self._rate:
                log.warning("slower than real time: %s; the sound will have gaps", self.speed)
