"""Decoding in parallel: the codes of new files are appended to the store's file of codes."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from sequnet_pl.audio.decode import AudioFileError, DecodeError
from sequnet_pl.data.store.encode import encode_file, identity, part_of
from sequnet_pl.data.store.index import Index, Recording, Skipped, write_index
from sequnet_pl.errors import UserError
from sequnet_pl.processes import run_all

_INTERVAL = 60.0  # seconds of work that a crash may cost
_PARTS = "parts"

log = logging.getLogger(__name__)


class Appender:
    """New recordings and skipped files of an update, while it is under way."""

    def __init__(self, folder: Path, old: Index, name: str, out: BinaryIO) -> None:
        self._folder, self._old, self._name, self._out = folder, old, name, out
        self.length = old.length
        self.made: dict[str, Recording] = {}
        self.skipped: list[Skipped] = []

    def take(self, source: str, result: Recording | Exception) -> None:
        """Append the codes of a file, or note why it is skipped. Raise UserError for what concerns every file."""
        if isinstance(result, Recording):
            part = part_of(self._folder / _PARTS, source)
            with part.open("rb") as codes:
                shutil.copyfileobj(codes, self._out, 1 << 22)
            self._out.flush()
            part.unlink()
            self.made[source] = replace(result, offset=self.length)
            self.length += result.length
            if result.note:
                log.warning("%s: %s", source, result.note)
            return
        if isinstance(result, UserError) and not isinstance(result, AudioFileError):
            raise result  # such as a full disk
        is_file_error = isinstance(result, AudioFileError)
        reason = result.reason if is_file_error else f"decoding failed ({type(result).__name__}: {result})"
        is_permanent = isinstance(result, DecodeError)
        self.skipped.append(Skipped(source, reason, *(identity(Path(source)) if is_permanent else ())))
        log.warning("skipped %s: %s", source, reason)

    def save(self) -> None:
        """Make all that was taken so far durable, as pending recordings of the index."""
        os.fsync(self._out.fileno())
        pending = {r.source: r for r in self._old.pending} | self.made
        index = replace(self._old, length=self.length, pending=tuple(pending.values()))
        write_index(self._folder, index, self._name)


def append(
    folder: Path, old: Index, name: str, jobs: Mapping[str, int], workers: int, progress: bool
) -> tuple[dict[str, Recording], list[Skipped], int]:
    """Decode files, given with their sizes, and append their codes; return recordings, skipped files, and the length.

    The index `name` is replaced every minute and on the way out, so that a crash costs a minute of work at most.
    Raise UserError where the folder cannot be written.
    """
    largest_first = sorted(jobs, key=lambda source: -jobs[source])
    # without a thread of its own, since processes are forked meanwhile
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    bar = Progress(*columns, console=console, auto_refresh=False, disable=not progress)
    path = folder / old.codes
    with _writing(path), _emptied(folder / _PARTS) as parts, _opened(path, old) as out:
        appender = Appender(folder, old, name, out)
        results = run_all(partial(encode_file, folder=parts, options=old.options), largest_first, workers)
        saved = time.monotonic()
        try:
            with closing(results), bar:
                task = bar.add_task("Storing audio", total=len(jobs))
                for source, result in results:
                    appender.take(source, result)
                    bar.update(task, advance=1, refresh=True)
                    if time.monotonic() - saved > _INTERVAL:
                        appender.save()
                        saved = time.monotonic()
        except BaseException:
            if appender.made:
                appender.save()
            raise
        os.fsync(out.fileno())
    return appender.made, appender.skipped, appender.length


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"cannot write {path}: {why}; free some space or choose another folder") from error


def _opened(path: Path, old: Index) -> BinaryIO:
    """Open the file of codes to append to it."""
    if not old.length:
        path.unlink(missing_ok=True)  # of a run that was killed, or without an index
    out = path.open("ab")
    out.truncate(old.length)  # a run that was killed may have written more
    return out


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
