"""The published weights: an archive of snapshots, downloaded and unpacked once by pooch, its hash remembered."""

import logging
import shutil
import sys
import zipfile
from pathlib import Path

import pooch
import yaml

from sequnet_pl import atomic
from sequnet_pl.errors import UserError

log = logging.getLogger(__name__)


def fetch(network: str, config: Path, folder: Path) -> Path:
    """Return the folder of the published snapshots of `network`; the archive is downloaded to `folder` once.

    `config` is a YAML file with the address of the archive and its SHA-256 (null: that of the first download). Raises
    UserError if it cannot be downloaded or unpacked, or has another hash.
    """
    source = yaml.safe_load(config.read_text(encoding="utf-8"))
    archive, remembered = atomic.make_folder(folder) / "models.zip", folder / "models.zip.sha256"
    known = source["sha256"] or (remembered.read_text().strip() if remembered.is_file() else None)
    unzip = pooch.Unzip(extract_dir="models")  # names that lead outside stay inside
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())
    try:
        files = pooch.retrieve(source["address"], known, archive.name, folder, unzip, downloader)  # pyright: ignore[reportArgumentType]
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:  # those of requests, too
        archive.unlink(missing_ok=True)
        shutil.rmtree(folder / "models", ignore_errors=True)
        raise UserError(
            f"cannot download or unpack {source['address']}: {error}; if the link is dead, get models.zip from the "
            "authors (github.com/f90/Seq-U-Net), unpack it, and give the folder of checkpoint_<step> as --snapshot_dir"
        ) from error
    if not remembered.is_file():
        atomic.write_text(remembered, f"{pooch.file_hash(str(archive))}\n")
        log.info("%s: sha-256 %s", archive, remembered.read_text().strip())
    folders = {Path(file).parent for file in files if Path(file).name.startswith("checkpoint_")}
    found = [path for path in folders if network in path.relative_to(folder.resolve()).as_posix().lower()]
    if len(found) != 1:
        raise UserError(f"{archive} has {len(found)} snapshots of {network}; name a folder with --snapshot_dir")
    return found[0]
