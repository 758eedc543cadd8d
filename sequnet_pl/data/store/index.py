"""What a store holds, as its index file says: the options it was made with, its recordings, and what was skipped."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from sequnet_pl import atomic
from sequnet_pl.audio.files import SAMPLE_RATE, Channel
from sequnet_pl.errors import UsageError, UserError

SPLITS = ("train", "val", "test")
_NAME = "index.json"
_FORMAT = 2


@dataclass(frozen=True)
class Options:
    """What decides the codes of a recording. Raises UsageError for values that make no sense."""

    rate: int = SAMPLE_RATE
    """Samples a second."""
    channel: Channel = "mix"
    loudness: float | None = None
    """Each recording is brought to this loudness (LUFS, EBU R 128), as far as its peak allows; None leaves it alone."""
    skip_silence: float | None = None
    """Digital silence longer than this (seconds) is cut down to it; None keeps all of it."""

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise UsageError(f"a sample rate of {self.rate} Hz is not possible; it must be more than 0")
        if self.channel not in ("mix", "left", "right"):
            raise UsageError(f"there is no channel {self.channel!r}; choose mix, left or right")
        if self.loudness is not None and not -70 < self.loudness < 0:
            raise UsageError(f"a loudness of {self.loudness} LUFS is not possible; it lies between -70 and 0")
        if self.skip_silence is not None and self.skip_silence <= 0:
            raise UsageError(f"silence of {self.skip_silence} s cannot be skipped; give a length of more than 0")

    def key(self) -> str:
        """A short name for these options: what was made under another one is of no use."""
        return hashlib.sha256(json.dumps([_FORMAT, asdict(self)]).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Recording:
    """One audio file in the store: `length` codes from `offset` on in its split's map."""

    source: str
    offset: int
    length: int
    rate: int
    """Of the codes: `length / rate` are seconds."""
    sha256: str
    """Of the audio file; with `size` (bytes) and `mtime_ns` it tells whether the file has changed."""
    codes_sha256: str
    peak: float
    """Largest magnitude before encoding; more than 1 was clipped."""
    clipped: float
    """Share of samples at or beyond full scale."""
    silent: float
    """Share of codes that are digital silence."""
    size: int
    mtime_ns: int
    note: str = ""
    """What a user should know about this recording, or nothing."""
    own_rate: int = 0
    """Of the audio file in Hz, where that is lower than `rate`; else 0."""
    begin: int = 0
    """Of a piece of a recording: where it begins there, in samples."""
    whole: int = 0
    """Length of the recording that was to be cut in time, of which this is a piece, or all where it is short; else 0.

    The other fields but `offset` and `length` are those of the whole recording.
    """

    @property
    def is_piece(self) -> bool:
        """Whether this is not all of its recording."""
        return 0 < self.length < self.whole

    def joined(self) -> Self:
        """The whole recording."""
        return replace(self, offset=self.offset - self.begin, length=self.whole or self.length, begin=0, whole=0)

    def told(self) -> str:
        """What a user should know about this recording or piece, or nothing."""
        cut = ""
        if self.is_piece:
            first, last = self.begin / self.rate, (self.begin + self.length) / self.rate
            cut = f"{first:.2f} to {last:.2f} s of {self.whole / self.rate:.2f} s"
        elif self.whole:
            cut = "too short to be cut in time, all of it trains"
        return "; ".join(filter(None, [cut, self.note]))


@dataclass(frozen=True)
class Skipped:
    """An audio file that cannot be used. With its `size` and `mtime_ns` it is not tried again until it changes."""

    source: str
    reason: str
    size: int = -1
    mtime_ns: int = -1


@dataclass(frozen=True)
class SplitIndex:
    """The recordings of a split, and the file beside the index whose first `length` bytes are its codes."""

    map: str = ""
    length: int = 0
    recordings: tuple[Recording, ...] = ()


@dataclass(frozen=True)
class Index:
    """All that a store holds."""

    options: Options
    splits: dict[str, SplitIndex] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def joined(self) -> "Index":
        """The same without cuts in time."""
        splits = {name: replace(split, recordings=joined(split.recordings)) for name, split in self.splits.items()}
        return replace(self, splits=splits)


def joined(recordings: Iterable[Recording]) -> tuple[Recording, ...]:
    """The whole ones of those that were cut in time, for their first pieces, and the others."""
    return tuple(recording.joined() for recording in recordings if not recording.begin)


def read_index(folder: Path) -> Index | None:
    """The index of a store, None where there is none. Raises UserError where it cannot be read."""
    path = Path(folder) / _NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise UserError(f"{path} is of another version (format {content['format']}); delete it to make it again")
        splits = {
            name: SplitIndex(split["map"], split["length"], tuple(Recording(**r) for r in split["recordings"]))
            for name, split in content["splits"].items()
        }
        skipped = tuple(Skipped(**s) for s in content["skipped"])
        return Index(Options(**content["options"]), splits, skipped)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it, so that the store is made again") from error


def write_index(folder: Path, index: Index) -> None:
    """Replace the index of a store. Raises UserError where that fails; the old one then stays."""
    content = asdict(index, dict_factory=_written)
    atomic.write_text(folder / _NAME, json.dumps({"format": _FORMAT, **content}, indent=1) + "\n")


def _written(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Without what few recordings have, so that the index of others is what it always was."""
    return {name: value for name, value in fields if value or name not in ("own_rate", "begin", "whole")}
