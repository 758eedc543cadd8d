"""The published weights: an archive of snapshots, downloaded once by pooch, its hash remembered."""

import logging
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
import yaml

from sequnet_pl import atomic
from sequnet_pl.errors import UserError

_ADVICE = (
    "if the link is dead, get models.zip from the authors (github.com/f90/Seq-U-Net), unpack it anywhere, "
    "and name the folder of checkpoint_<step> with --snapshot_dir"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Address of the archive, and its SHA-256 where it is known."""

    address: str
    sha256: str | None


def read_source(config: Path) -> Source:
    """Return the source that a YAML file describes. UserError where it does not."""
    try:
        return Source(**yaml.safe_load(config.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"{config} must have address and sha256 of the published weights, and nothing else") from error


def fetch(network: str, source: Source, folder: Path) -> Path:
    """Return the folder of the published snapshots of `network`, downloaded to `folder` unless they are there.

    Raises UserError where the archive cannot be downloaded, differs from the one that was there before, or is damaged.
    """
    unpacked = folder / "models"
    if not unpacked.is_dir():
        _unpack(_download(source, atomic.make_folder(folder)), unpacked)
    folders = {path.parent for path in unpacked.rglob("checkpoint_*")}
    found = sorted(path for path in folders if network in path.as_posix().lower())
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(path) for path in found)
        raise UserError(f"the archive has several {network} snapshots; name one with --snapshot_dir: {listed}")
    raise UserError(f"the archive has no snapshots of {network} (see {unpacked}); name a folder with --snapshot_dir")


def _download(source: Source, folder: Path) -> Path:
    """Download the archive; its hash must be the known one, or that of the first download."""
    remembered = folder / "models.zip.sha256"
    known = source.sha256 or (remembered.read_text().strip() if remembered.is_file() else None)
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())
    try:
        archive = Path(
            pooch.retrieve(
                source.address,
                known,
                "models.zip",
                folder,
                downloader=downloader,  # pyright: ignore[reportArgumentType]  # its own class, typed more narrowly
            )
        )
    except (requests.RequestException, OSError) as error:
        raise UserError(f"cannot download {source.address}: {error}; {_ADVICE}") from error
    except ValueError as error:  # of another hash; pooch has deleted it
        raise UserError(f"{source.address} was not accepted: {error}; {_ADVICE}") from error
    found = pooch.file_hash(str(archive))
    log.info("%s: sha-256 %s", archive, found)
    atomic.write_text(remembered, found + "\n")
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the archive to `folder`, all of it or nothing; names that lead outside are kept inside by zipfile."""
    with tempfile.TemporaryDirectory(prefix=".models-", dir=folder.parent, ignore_cleanup_errors=True) as temporary:
        try:
            with zipfile.ZipFile(archive) as file:
                file.extractall(temporary)
            Path(temporary).rename(folder)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            archive.unlink()
            raise UserError(f"{archive} is damaged ({error}): it was deleted; try again. {_ADVICE}") from error
        except OSError as error:
            raise UserError(f"cannot unpack {archive} to {folder}: {error.strerror or error}") from error
