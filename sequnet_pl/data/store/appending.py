"""Writing to a store, one process at a time: files are decoded in parallel, and their codes appended to its file."""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from sequnet_pl import atomic
from sequnet_pl.audio.decode import AudioFileError, DecodeError
from sequnet_pl.data.store.encode import encode_file, identity, part_of
from sequnet_pl.data.store.index import CODES, Index, Recording, Skipped, write_index
from sequnet_pl.errors import UserError
from sequnet_pl.processes import run_all
from sequnet_pl.progress import with_bar

_INTERVAL = 60.0  # seconds of work that a crash may cost

log = logging.getLogger(__name__)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Reserve a folder for this process until it ends; wait for the process that has it.

    A folder that cannot be written needs no lock; on a file system without locks, a warning is logged.
    """
    path = folder / ".lock"
    try:
        file = path.open("ab" if not path.exists() or os.access(path, os.W_OK) else "rb")  # it may be another user's
    except OSError:
        yield
        return
    kind = fcntl.LOCK_EX if file.writable() else fcntl.LOCK_SH
    with file:
        try:  # by lockf, not flock, which forked workers would inherit and hold after the end of this process
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            log.warning("waiting for another process that makes %s", folder)
            fcntl.lockf(file, kind)
        except OSError:
            log.warning("%s is on a file system without locks; let only one process make it", folder)
        yield


def append(folder: Path, old: Index, jobs: Mapping[str, int], workers: int, progress: bool) -> Index:
    """Decode files, given with their sizes, and append their codes; return the index with them, pending or skipped.

    The index is replaced every minute and on the way out, so that a crash costs a minute of work at most.
    Raise UserError where the folder cannot be written.
    """
    made, skipped, length = dict[str, Recording](), list[Skipped](), old.length
    largest_first, path = sorted(jobs, key=lambda source: -jobs[source]), folder / CODES

    def appended() -> Index:
        os.fsync(codes.fileno())
        pending = {r.source: r for r in old.pending} | made
        return replace(old, length=length, pending=tuple(pending.values()))

    with atomic.writing(path), _emptied(folder / "parts") as parts:
        if not old.length:
            path.unlink(missing_ok=True)  # of other options, or without an index; whoever reads it keeps it
        with path.open("ab") as codes:
            codes.truncate(old.length)  # a run that was killed may have written more
            results = run_all(partial(encode_file, folder=parts, options=old.options), largest_first, workers)
            saved = time.monotonic()
            try:
                with with_bar(results, "Storing audio", len(jobs), progress) as counted:
                    for source, result in counted:
                        if isinstance(result, Recording):
                            part = part_of(parts, source)
                            with part.open("rb") as new:
                                shutil.copyfileobj(new, codes, 1 << 22)
                            codes.flush()
                            part.unlink()
                            made[source] = replace(result, offset=length)
                            length += result.length
                        else:
                            skipped.append(_skipped(source, result))
                        if time.monotonic() - saved > _INTERVAL:
                            write_index(folder, appended())
                            saved = time.monotonic()
            except BaseException:
                if made:
                    write_index(folder, appended())
                raise
            index = appended()
    for recording in made.values():
        if recording.note:
            log.warning("%s: %s", recording.source, recording.note)
    skipped += [entry for entry in old.skipped if entry.source not in jobs]
    return replace(index, skipped=tuple(sorted(skipped, key=lambda entry: entry.source)))


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
