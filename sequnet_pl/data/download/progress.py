"""What one sees of a download: bars for the recording and for all on a terminal, a line a recording elsewhere."""

from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sequnet_pl.data.download.items import Item
from sequnet_pl.data.download.report import Entry, Status


class DownloadProgress:
    """A bar over all recordings, and one over the bytes of the one that comes."""

    def __init__(self, console: Console, recordings: int) -> None:
        self._console, self._recordings, self._count = console, recordings, 0
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[done]}"))
        self._progress = Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )
        self._all = self._progress.add_task("all", total=recordings, done=f"0/{recordings}")
        self._one = self._progress.add_task("", total=None, done="", visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, item: Item) -> None:
        """This one is next."""
        self._progress.remove_task(self._one)  # a reset would keep the size of the last one
        self._one = self._progress.add_task(item.stem, total=None, done="")

    def bytes(self, done: int, total: int | None) -> None:
        """So many bytes of it are here."""
        text = f"{decimal(done)} of {decimal(total)}" if total else decimal(done)
        self._progress.update(self._one, completed=done, total=total, done=text)

    def end(self, item: Item, entry: Entry) -> None:
        """This is what became of it."""
        self._count += 1
        self._progress.update(self._all, completed=self._count, done=f"{self._count}/{self._recordings}")
        if entry.status is not Status.OK or not self._console.is_terminal:
            reason = f", {entry.reason}" if entry.reason else ""
            line = f"{self._count}/{self._recordings} {item.recording}: {entry.status.value}{reason}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
