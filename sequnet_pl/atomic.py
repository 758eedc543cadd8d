"""Write files to a temporary file beside the target, then rename it, so that a reader never sees a partial file."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sequnet_pl.errors import UserError


def make_folder(folder: Path) -> Path:
    """Make `folder` and its parents. Raises UserError where that is impossible (a path below a file, no permission)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}; choose another one") from error
    return folder


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise UserError where writing `path` fails."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"cannot write {path}: {why}; free some space or choose another folder") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it is fsynced and renamed to `path`, else removed.

    The temporary name keeps the suffix of `path`, for writers that choose the format by it.
    Raises UserError where writing fails (no space, no permission); `path` is then as it was.
    """
    path = Path(path)
    make_folder(path.parent)
    # named before it is there, so that whatever comes in between leaves nothing behind
    temporary = path.with_name(f".{path.stem[:40]}-{secrets.token_hex(4)}{path.suffix}")
    try:
        with writing(path):
            temporary.touch(exist_ok=False)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        with suppress(OSError):  # on a read-only disk even where there is nothing to remove
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, what UTF-8 lacks escaped. Raises UserError where that fails."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
