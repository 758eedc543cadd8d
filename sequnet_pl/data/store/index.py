"""The index of a store: its options, the recordings of each split, and the files that were skipped."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from sequnet_pl import atomic
from sequnet_pl.audio.files import SAMPLE_RATE, Channel
from sequnet_pl.errors import UsageError, UserError

SPLITS = ("train", "val", "test")
CODES = "codes.u8"
"""The default name of the file of all codes, which only grows."""
INDEX = "index.json"
NEXT_INDEX = "next.json"
"""Index of a store under other options that is being made in the same folder, until it replaces the present one."""
_FORMAT = 3
_FORMER_NAMES = {"own_rate": "source_rate", "begin": "start", "whole": "total_length"}


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
        """Return a short name for these options."""
        return hashlib.sha256(json.dumps([_FORMAT, asdict(self)]).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Recording:
    """One audio file in the store, or a segment of it: `length` codes from `offset` on in the file of codes."""

    source: str
    size: int
    """Bytes of the audio file; with `mtime_ns` it shows whether the file has changed."""
    mtime_ns: int
    offset: int
    length: int
    rate: int
    """Of the codes: `length / rate` are seconds."""
    codes_sha256: str
    peak: float
    """Largest magnitude before encoding; more than 1 was clipped."""
    clipped: float
    """Fraction of samples at or beyond full scale."""
    silent: float
    """Fraction of codes that are digital silence."""
    note: str = ""
    """What a user should know about this recording, or nothing."""
    source_rate: int = 0
    """Source sample rate in Hz, where that is lower than `rate`; else 0."""
    start: int = 0
    """Of a segment: its start in the recording, in samples."""
    total_length: int = 0
    """Total length of a recording that was to be split in time, in samples; else 0.

    The other fields but `offset` and `length` are those of the whole recording.
    """

    @property
    def is_segment(self) -> bool:
        """Whether this is a segment, not all of its recording."""
        return 0 < self.length < self.total_length

    def unsplit(self) -> Self:
        """Return the whole recording."""
        length = self.total_length or self.length
        return replace(self, offset=self.offset - self.start, length=length, start=0, total_length=0)

    def description(self) -> str:
        """Return what a user should know about this recording or segment, or an empty text."""
        segment = ""
        if self.is_segment:
            first, last = self.start / self.rate, (self.start + self.length) / self.rate
            segment = f"{first:.2f} to {last:.2f} s of {self.total_length / self.rate:.2f} s"
        elif self.total_length:
            segment = "too short to be split in time, all of it trains"
        return "; ".join(filter(None, [segment, self.note]))


@dataclass(frozen=True)
class Skipped:
    """An audio file that cannot be used. With its `size` and `mtime_ns` it is not retried until it changes."""

    source: str
    reason: str
    size: int = -1
    mtime_ns: int = -1


@dataclass(frozen=True)
class Index:
    """All that a store holds, in the first `length` bytes of its file of codes."""

    options: Options
    length: int = 0
    splits: dict[str, tuple[Recording, ...]] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    pending: tuple[Recording, ...] = ()
    """Recordings of an update that was not completed, which belong to no split yet."""
    codes: str = CODES
    """Name of the file of codes."""

    @cached_property
    def recordings(self) -> dict[str, Recording]:
        """The whole recordings by their source, pending ones too."""
        stored = {r.source: r.unsplit() for split in self.splits.values() for r in split}
        return stored | {r.source: r for r in self.pending}

    @property
    def unused(self) -> int:
        """Bytes of codes that belong to no recording any more."""
        return self.length - sum(r.length for r in self.recordings.values())

    def unsplit(self) -> "Index":
        """Return the same without temporal splits: a recording belongs to the split of its first segment."""
        splits = {name: tuple(r.unsplit() for r in split if not r.start) for name, split in self.splits.items()}
        return replace(self, splits=splits)


def read_index(folder: Path, name: str = INDEX) -> Index | None:
    """Return the index of a store, None where there is none. Raise UserError where it cannot be read."""
    path = Path(folder) / name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise UserError(f"{path} is of another version (format {content['format']}); delete it to make it again")
        splits = {name: _recordings(split) for name, split in content["splits"].items()}
        skipped = tuple(Skipped(**s) for s in content["skipped"])
        options = Options(**content["options"])
        pending, codes = _recordings(content["pending"]), content.get("codes", CODES)
        return Index(options, content["length"], splits, skipped, pending, codes)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it, so that the store is made again") from error


def opened_index(folder: Path, unsplit: bool = False) -> Index:
    """Return the index of a store that must exist, `unsplit` without temporal splits. Raise UserError without one."""
    index = read_index(folder)
    if index is None or not index.splits:
        raise UserError(f"there is no store in {folder}; make one first")
    return index.unsplit() if unsplit else index


def write_index(folder: Path, index: Index, name: str = INDEX) -> None:
    """Replace the index of a store. Raise UserError where that fails; the old one then stays."""
    atomic.write_text(folder / name, json.dumps({"format": _FORMAT, **asdict(index)}, indent=1) + "\n")


def _recordings(entries: list[dict[str, Any]]) -> tuple[Recording, ...]:
    return tuple(Recording(**{_FORMER_NAMES.get(name, name): entry[name] for name in entry}) for entry in entries)
