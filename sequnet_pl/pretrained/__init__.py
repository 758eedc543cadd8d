"""Networks that need no training: those that come with the package, and the archive of the published ones.

Those that come along have a folder each, with its weights in bfloat16 and a card that says what it is.

`python -m sequnet_pl.pretrained` makes such a folder of a checkpoint; `training.trained.load_pretrained` loads one.
"""

from pathlib import Path

from sequnet_pl.errors import UsageError

FOLDER = Path(__file__).parent
WEIGHTS = "weights.ckpt"


def names() -> list[str]:
    """What the networks are called; none where nothing was shipped."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{WEIGHTS}"))


def weights_of(name: str) -> Path:
    """The checkpoint of a network that comes with the package. UsageError with the names for one that does not."""
    if name not in names():
        raise UsageError(f"no network {name} comes with the package: there are {', '.join(names()) or 'none'}")
    return FOLDER / name / WEIGHTS
