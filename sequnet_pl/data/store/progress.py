"""The progress bar of store making."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sequnet_pl.data.store.part import Answer
from sequnet_pl.data.store.workers import Job


class StoreProgress:
    """A bar over the bytes of all files, with files and hours done; the hours in all are estimated from those done."""

    def __init__(self, jobs: Sequence[Job], rate: int, shown: bool) -> None:
        self._files, self._rate = len(jobs), rate
        self._bytes = sum(max(job.size, 0) for job in jobs)
        self._done = self._done_bytes = 0
        self._hours = 0.0
        columns = (TextColumn("Storing audio"), BarColumn(), TextColumn("{task.description}"))
        self._progress = Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True), disable=not shown
        )
        self._task = self._progress.add_task(self._text(), total=self._bytes)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, job: Job, answer: Answer) -> None:
        """One more file is done."""
        self._done += 1
        self._done_bytes += max(job.size, 0)
        if answer.part is not None:
            self._hours += answer.part.length / self._rate / 3600
        self._progress.update(self._task, completed=self._done_bytes, description=self._text())

    def _text(self) -> str:
        whole = f" of about {self._hours * self._bytes / self._done_bytes:.1f}" if self._done_bytes else ""
        return f"{self._done}/{self._files} files, {self._hours:.1f}{whole} h, time taken and left:"
