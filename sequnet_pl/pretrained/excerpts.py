"""Excerpts of held-out recordings of a bundled network, which its clips continue by default."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sequnet_pl import atomic
from sequnet_pl.errors import UserError
from sequnet_pl.pretrained import weights_of

FILE = "excerpts.npz"


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Codes (T,) of a recording, its file name, and the second of it at which they end."""

    codes: NDArray[np.uint8]
    source: str
    end: float


def excerpts_of(name: str) -> list[Excerpt]:
    """Return the excerpts of a bundled network; none if it has none. UserError if they cannot be read."""
    path = weights_of(name).with_name(FILE)
    if not path.is_file():
        return []
    try:
        with np.load(path) as found:
            codes = np.split(found["codes"], np.cumsum(found["lengths"])[:-1])
            return [Excerpt(*row) for row in zip(codes, found["sources"].tolist(), found["ends"].tolist(), strict=True)]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(f"{path} has no excerpts that can be read; install the package again") from error


def write_excerpts(folder: Path, excerpts: Sequence[Excerpt]) -> Path:
    """Write excerpts beside the weights in a folder. Raises UserError if that fails."""
    lengths, ends = [len(excerpt.codes) for excerpt in excerpts], [excerpt.end for excerpt in excerpts]
    codes = np.concatenate([excerpt.codes for excerpt in excerpts])
    sources = [Path(excerpt.source).name for excerpt in excerpts]
    with atomic.replacing(folder / FILE) as temporary:
        np.savez_compressed(temporary, codes=codes, lengths=lengths, sources=sources, ends=ends)
    return folder / FILE
