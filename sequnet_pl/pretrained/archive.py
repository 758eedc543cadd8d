"""The published weights: an archive of snapshots, downloaded and unpacked once by pooch, its hash remembered."""

import logging
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pooch
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
    """Address of the archive, and its SHA-256 if it is known."""

    address: str
    sha256: str | None


def read_source(config: Path) -> Source:
    """Return the source that a YAML file describes. Raises UserError if it does not."""
    try:
        return Source(**yaml.safe_load(config.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"{config} must have address and sha256 of the published weights, and nothing else") from error


def fetch(network: str, source: Source, folder: Path) -> Path:
    """Return the folder of the published snapshots of `network`; the archive is downloaded to `folder` once.

    Raises UserError if it cannot be downloaded or unpacked, or differs from the one that was there before.
    """
    archive, remembered = atomic.make_folder(folder) / "models.zip", folder / "models.zip.sha256"
    known = source.sha256 or (remembered.read_text().strip() if remembered.is_file() else None)
    unzip = pooch.Unzip(extract_dir="models")  # names that lead outside stay inside
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())
    try:
        files = pooch.retrieve(source.address, known, archive.name, folder, unzip, downloader)  # pyright: ignore[reportArgumentType]
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        archive.unlink()
        raise UserError(f"{archive} is damaged ({error}): it was deleted; try again. {_ADVICE}") from error
    except OSError as error:  # those of requests, too
        if archive.exists():  # a part of it was unpacked
            shutil.rmtree(folder / "models", ignore_errors=True)
        raise UserError(f"cannot download or unpack {source.address}: {error}; {_ADVICE}") from error
    except ValueError as error:  # another hash; pooch has deleted the file
        raise UserError(f"{source.address} was not accepted: {error}; {_ADVICE}") from error
    if not remembered.is_file():
        atomic.write_text(remembered, f"{pooch.file_hash(str(archive))}\n")
        log.info("%s: sha-256 %s", archive, remembered.read_text().strip())
    folders = {Path(file).parent for file in files if Path(file).name.startswith("checkpoint_")}
    found = sorted(path for path in folders if network in path.relative_to(folder.resolve()).as_posix().lower())
    if len(found) != 1:
        listed = ", ".join(map(str, found)) or f"none in {folder / 'models'}"
        raise UserError(f"snapshots of {network}, of which one is needed: {listed}; name a folder with --snapshot_dir")
    return found[0]
