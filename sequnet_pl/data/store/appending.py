"""Decoding in parallel: the codes of new files are appended to the store's file of codes."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sequnet_pl import atomic
from sequnet_pl.audio.decode import AudioFileError, DecodeError
from sequnet_pl.data.store.encode import encode_file, identity, part_of
from sequnet_pl.data.store.index import Index, Recording, Skipped, write_index
from sequnet_pl.errors import UserError
from sequnet_pl.processes import run_all
from sequnet_pl.progress import with_bar

_INTERVAL = 60.0  # seconds of work that a crash may cost
_PARTS = "parts"

log = logging.getLogger(__name__)


def append(folder: Path, old: Index, name: str, jobs: Mapping[str, int], workers: int, progress: bool) -> Index:
    """Decode files, given with their sizes, and append their codes; return the index with them, pending or skipped.

    The index `name` is replaced every minute and on the way out, so that a crash costs a minute of work at most.
    Raise UserError where the folder cannot be written.
    """
    made, skipped, length = dict[str, Recording](), list[Skipped](), old.length
    largest_first, path = sorted(jobs, key=lambda source: -jobs[source]), folder / old.codes

    def appended() -> Index:
        os.fsync(codes.fileno())
        pending = {r.source: r for r in old.pending} | made
        return replace(old, length=length, pending=tuple(pending.values()))

    with atomic.writing(path), _emptied(folder / _PARTS) as parts:
        if not old.length:
            path.unlink(missing_ok=True)  # of a run that was killed, or without an index; whoever reads it keeps it
        with path.open("ab") as codes:
            codes.truncate(old.length)  # a run that was killed may have written more
            results = run_all(partial(encode_file, folder=parts, options=old.options), largest_first, workers)
            saved = time.monotonic()
            try:
                with with_bar(results, "Storing audio", len(jobs), progress) as counted:
                    for source, result in counted:
                        if isinstance(result, Recording):
                            _move(part_of(parts, source), codes)
                            made[source] = replace(result, offset=length)
                            length += result.length
                        else:
                            skipped.append(_skipped(source, result))
                        if time.monotonic() - saved > _INTERVAL:
                            write_index(folder, appended(), name)
                            saved = time.monotonic()
            except BaseException:
                if made:
                    write_index(folder, appended(), name)
                raise
            new = appended()
    for recording in made.values():
        if recording.note:
            log.warning("%s: %s", recording.source, recording.note)
    skipped += [entry for entry in old.skipped if entry.source not in jobs]
    return replace(new, skipped=tuple(sorted(skipped, key=lambda entry: entry.source)))


def _move(part: Path, codes: BinaryIO) -> None:
    """Append the codes of a file."""
    with part.open("rb") as new:
        shutil.copyfileobj(new, codes, 1 << 22)
    codes.flush()
    part.unlink()


def _skipped(source: str, error: Exception) -> Skipped:
    """Return why a file is skipped. Raise what concerns every file, such as a full disk."""
    reason = f"decoding failed ({type(error).__name__}: {error})"
    if isinstance(error, AudioFileError):
        reason = error.reason
    elif isinstance(error, UserError):
        raise error
    log.warning("skipped %s: %s", source, reason)
    is_permanent = isinstance(error, DecodeError)
    return Skipped(source, reason, *(identity(Path(source)) if is_permanent else ()))


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
