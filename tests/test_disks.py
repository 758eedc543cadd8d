"""Disks that are full or read-only: one line that names what cannot be written."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from sequnet_pl import atomic
from sequnet_pl.errors import UserError
from sequnet_pl.training.saving import AtomicCheckpointIO


def mounted(*words: object) -> bool:
    try:
        return not subprocess.run(["mount", *map(str, words)], capture_output=True).returncode
    except FileNotFoundError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a small disk, which may be made read-only afterwards."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", folder):
        pytest.skip("only root may mount a disk")
    yield lambda **options: folder if not options or mounted("-o", "remount,ro", folder) else pytest.fail("no remount")
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(disk) -> None:
    path = disk() / "last.ckpt"
    path.write_text("as it was")
    with pytest.raises(UserError, match=f"cannot write {path}: No space left on device"):
        AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, path)
    assert path.read_text() == "as it was"
    assert list(path.parent.iterdir()) == [path]


def test_a_read_only_disk(disk) -> None:
    path = disk(read_only=True) / "last.ckpt"
    with pytest.raises(UserError, match=f"cannot write {path}: Read-only file system"):
        atomic.write_text(path, "x")
