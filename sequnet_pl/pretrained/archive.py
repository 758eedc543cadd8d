"""The published weights: an archive of snapshots, downloaded once, its hash remembered, unpacked with suspicion."""

import hashlib
import http.client
import logging
import re
import shutil
import stat
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from sequnet_pl import atomic
from sequnet_pl.errors import UserError

log = logging.getLogger(__name__)

_CHUNK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte
_MOST_FILES = 10_000
_ADVICE = (
    "if the link is dead, get models.zip from the authors (github.com/f90/Seq-U-Net), unpack it anywhere, "
    "and name the folder of checkpoint_<step> with --snapshot_dir"
)

Watch = Callable[[int, int | None], None]
"""Called with the bytes that are there, and how many there will be where that is known."""


@dataclass(frozen=True)
class Source:
    """Where the archive is, and what is accepted."""

    address: str
    sha256: str | None
    most_bytes: int


def read_source(config: Path) -> Source:
    """The source that a YAML file describes. UserError where it does not."""
    try:
        return Source(**yaml.safe_load(config.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"{config} lacks address, sha256 or most_bytes of the published weights") from error


def fetch(network: str, source: Source, folder: Path, watch: Watch = lambda done, total: None) -> Path:
    """The folder of the published snapshots of `network`; downloaded to `folder` unless they are there already.

    An interrupted download goes on where it stopped. Raises UserError where the archive cannot be had, is not the one
    that was there before, or holds anything but plain files below its own folder.
    """
    unpacked = folder / "models"
    if not unpacked.is_dir():
        archive = folder / "models.zip"
        if not archive.is_file():
            _download(source, archive, watch)
        _check_hash(archive, source)
        _unpack(archive, unpacked, source.most_bytes)
    folders = {path.parent for path in unpacked.rglob("checkpoint_*")}
    found = sorted(path for path in folders if network in path.as_posix().lower())
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(path) for path in found)
        raise UserError(f"the archive has several {network} snapshots; name one with --snapshot_dir: {listed}")
    raise UserError(f"the archive has no snapshots of {network} (see {unpacked}); name a folder with --snapshot_dir")


def _download(source: Source, archive: Path, watch: Watch) -> None:
    """Fetch the archive, going on where an earlier try stopped."""
    part = atomic.make_folder(archive.parent) / f"{archive.name}.part"
    try:
        _append(source, part, watch)
        part.replace(archive)
    except urllib.error.HTTPError as error:
        raise UserError(f"cannot download {source.address}: HTTP status {error.code}; {_ADVICE}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", None) or error
        raise UserError(f"cannot download {source.address}: {why}; try again, it goes on; {_ADVICE}") from error
    except OSError as error:
        raise UserError(f"cannot write {part}: {error.strerror}; free some space and try again, it goes on") from error


def _append(source: Source, part: Path, watch: Watch) -> None:
    if urllib.parse.urlsplit(source.address).scheme not in ("http", "https"):
        raise UserError(f"{source.address} is not an address of http or https")
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(source.address, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        reply = urllib.request.urlopen(request, timeout=_TIMEOUT)  # follows no redirect to a file
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(there):
            return  # it is all there already
        part.unlink()
        return _append(source, part, watch)
    with reply:
        goes_on = reply.status == http.HTTPStatus.PARTIAL_CONTENT
        if goes_on and not reply.headers.get("Content-Range", "").startswith(f"bytes {there}-"):
            raise UserError(f"{source.address} answers with another part than was asked for; delete {part}, try again")
        done = there if goes_on else 0
        length = reply.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if goes_on else "wb") as file:
            while data := reply.read(_CHUNK):
                done += len(data)
                if max(done, total or 0) > source.most_bytes:
                    raise UserError(f"{source.address} is larger than {source.most_bytes:,} bytes: not downloaded")
                file.write(data)
                watch(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _check_hash(archive: Path, source: Source) -> None:
    """Show the hash; compare it with the one that is known, or remember it."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    log.info("%s: sha-256 %s", archive, found)
    remembered = archive.with_name(f"{archive.name}.sha256")
    known = source.sha256 or (remembered.read_text().strip() if remembered.is_file() else None)
    if known and known != found:
        aside = archive.with_name(f"{archive.name}.refused")
        archive.replace(aside)
        raise UserError(f"the archive has changed: its sha-256 is not {known}; it is now {aside} and was not unpacked")
    if not remembered.is_file():
        atomic.write_text(remembered, found + "\n")


def _unpack(archive: Path, folder: Path, most_bytes: int) -> None:
    """Unpack the archive to `folder`, all of it or nothing."""
    temporary = Path(tempfile.mkdtemp(prefix=".models-", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as file:
            members = file.infolist()
            if len(members) > _MOST_FILES:
                raise UserError(f"{archive} holds {len(members)} files: not unpacked")
            for member in members:
                _check_member(archive, member)
            left = most_bytes
            for member in members:
                left = _extract(file, member, temporary, left)
        temporary.replace(folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        archive.unlink()
        raise UserError(f"{archive} is damaged ({error}): it was deleted; try again. {_ADVICE}") from error
    except OSError as error:
        raise UserError(f"cannot unpack {archive} to {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    """Refuse names that lead outside, and anything but files and folders."""
    path, kind = PurePosixPath(member.filename), stat.S_IFMT(member.external_attr >> 16)
    outside = path.is_absolute() or ".." in path.parts or re.search(r"[\\:\0]", member.filename) is not None
    if outside or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "lies outside its folder" if outside else "is a link or a device"
        raise UserError(f"refused {archive}: {member.filename!r} in it {what}; nothing was unpacked")


def _extract(file: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, left: int) -> int:
    """Unpack one member, and give how many more bytes may come; its header is not believed."""
    target = folder / member.filename
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return left
    target.parent.mkdir(parents=True, exist_ok=True)
    with file.open(member) as source, target.open("xb") as out:
        while data := source.read(_CHUNK):
            if (left := left - len(data)) < 0:
                raise UserError(f"refused {file.filename}: it unpacks to more than is allowed; nothing was unpacked")
            out.write(data)
    return left
