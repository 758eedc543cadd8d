"""Trained networks: those that are bundled with the package, and the archive of the published ones.

A bundled network is a folder with its weights in bfloat16 and a card. `python -m sequnet_pl.pretrained` exports a
checkpoint to such a folder.
"""

from pathlib import Path

from sequnet_pl.errors import UsageError, did_you_mean

FOLDER = Path(__file__).parent
WEIGHTS = "weights.ckpt"


def names() -> list[str]:
    """Names of the bundled networks."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{WEIGHTS}"))


def weights_of(name: str) -> Path:
    """The checkpoint of a bundled network. Raises UsageError with the names for an unknown one."""
    known = names()
    if name not in known:
        choices = ", ".join(known) or "none"
        raise UsageError(f"no network {name} comes with the package; bundled: {choices}{did_you_mean(name, known)}")
    return FOLDER / name / WEIGHTS
