"""The progress bar of sample.py."""

import logging
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sequnet_pl.sampling.engines import Block

log = logging.getLogger(__name__)


class SampleProgress(Progress):
    """A bar over `total` samples of all clips at `rate` Hz, with samples a second and the factor to real time.

    `live`: warn once if samples are drawn more slowly than they are played.
    """

    def __init__(self, total: int, rate: int, live: bool) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"))
        super().__init__(
            *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self._bar = self.add_task("", total=total, speed="")
        self._rate, self._warn = rate, live
        self.drawn, self.seconds, self._since = 0, 0.0, time.perf_counter()

    @property
    def speed(self) -> str:
        """Samples a second so far, of all clips together, and the factor to real time."""
        speed = self.drawn / max(self.seconds, 1e-9)
        return f"{speed:,.0f} samples/s, {speed / self._rate:.2f} x real time"

    def begin(self, text: str) -> None:
        """Start a batch: its prompts are read."""
        self._since = time.perf_counter()
        self.update(self._bar, description=text)

    def add_block(self, block: Block) -> None:
        """Count a block that was drawn."""
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now
        self.drawn += block.codes.numel()
        self.update(self._bar, advance=block.codes.numel(), speed=self.speed)
        if self._warn and self.seconds > 1:
            self._warn = False
            if self.drawn < self.seconds * self._rate:
                log.warning("slower than real time: %s; the sound will have gaps", self.speed)
