"""The index of a store: its options, the recordings of each split, and the files that were skipped.

A temporal split gives each split a segment of a recording; all of them are views into the one that is stored.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from sequnet_pl import atomic
from sequnet_pl.audio.decode import Channel
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.errors import UsageError, UserError

SPLITS = ("train", "val", "test")
Sources = Mapping[str, Sequence[str]]
"""The paths of the audio files of each split."""
CODES = "codes.u8"
"""The file of all codes, which only grows."""
_INDEX = "index.json"
_FORMAT = 3
_GAP = 3  # seconds between two segments that belong to neither, whatever the network
_HELD_OUT = 10  # a segment that does not train is one in so many parts of what the gaps leave
_LEAST = 1  # seconds that such a segment has at least; a shorter recording is not split


@dataclass(frozen=True)
class Options:
    """Options that determine the codes of a recording. Raises UsageError for values that are not valid."""

    rate: int = SAMPLE_RATE  # Hz
    channel: Channel = "mix"
    loudness: float | None = None  # of each recording (LUFS, EBU R 128), as its peak allows; None leaves it alone
    skip_silence: float | None = None  # seconds to which longer digital silence is cut down; None keeps all of it

    def __post_init__(self) -> None:
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
    """One audio file in the store, or a segment of it: `length` codes from `offset` on in the file of codes.

    The other fields of a segment are those of the whole recording.
    """

    source: str
    size: int  # bytes of the audio file; with `mtime_ns` it shows whether the file has changed
    mtime_ns: int
    offset: int
    length: int
    rate: int  # of the codes: `length / rate` are seconds
    codes_sha256: str
    peak: float  # largest magnitude before encoding; more than 1 was clipped
    clipped: float  # fraction of samples at or beyond full scale
    silent: float  # fraction of codes that are digital silence
    note: str = ""  # what a user should know about this recording
    source_rate: int = 0  # source sample rate in Hz, where that is lower than `rate`
    start: int = 0  # of a segment: its start in the recording, in samples
    total_length: int = 0  # of a recording that was to be split in time, in samples

    @property
    def is_segment(self) -> bool:
        """True if this is a segment of a recording."""
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
    pending: tuple[Recording, ...] = ()  # of an update that was not completed; they belong to no split yet

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

    def arranged(self, sources: Sources) -> "Index":
        """Return the index with just these sources, each in its splits.

        A source that several splits name is split in time among them: most of it is the first one's, then come the
        others in their order, with gaps between. One that is too short is all the first one's.
        """
        splits_of: dict[str, list[str]] = {}
        for split, names in sources.items():
            for name in names:
                splits_of.setdefault(name, []).append(split)
        skipped = {entry.source: entry for entry in self.skipped if entry.source in splits_of}
        found = {name: self.recordings[name] for name in splits_of if name in self.recordings and name not in skipped}

        splits: dict[str, tuple[Recording, ...]] = {}
        for split, names in sources.items():
            present = [name for name in names if name in found]
            segments = (_segment(found[name], splits_of[name].index(split), len(splits_of[name])) for name in present)
            splits[split] = tuple(filter(None, segments))
        return Index(self.options, self.length, splits, tuple(skipped.values()))


def read_index(folder: Path) -> Index | None:
    """Return the index of a store, None where there is none. Raise UserError where it cannot be read."""
    path = Path(folder) / _INDEX
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise UserError(f"{path} is of another version (format {content['format']}); delete it to make it again")
        splits = {name: _recordings(split) for name, split in content["splits"].items()}
        skipped = tuple(Skipped(**s) for s in content["skipped"])
        options = Options(**content["options"])
        return Index(options, content["length"], splits, skipped, _recordings(content["pending"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it to make the store again") from error


def opened_index(folder: Path, unsplit: bool = False) -> Index:
    """Return the index of a store that must exist, `unsplit` without temporal splits. Raise UserError without one."""
    index = read_index(folder)
    if index is None or not index.splits:
        raise UserError(f"there is no store in {folder}; `python -m sequnet_pl.data.store list` lists the stores")
    return index.unsplit() if unsplit else index


def write_index(folder: Path, index: Index) -> None:
    """Replace the index of a store. Raise UserError where that fails; the old one then stays."""
    atomic.write_text(folder / _INDEX, json.dumps({"format": _FORMAT, **asdict(index)}, indent=1) + "\n")


def _recordings(entries: list[dict[str, Any]]) -> tuple[Recording, ...]:
    return tuple(Recording(**entry) for entry in entries)


def _segment(recording: Recording, number: int, count: int) -> Recording | None:
    """Return one of `count` segments, None where there is none."""
    if count == 1:
        return recording
    gap = _GAP * recording.rate
    rest = recording.length - (count - 1) * gap
    held_out = rest // _HELD_OUT
    if held_out < _LEAST * recording.rate:
        return None if number else replace(recording, total_length=recording.length)
    first = rest - (count - 1) * held_out
    start, length = (first + gap + (number - 1) * (held_out + gap), held_out) if number else (0, first)
    offset = recording.offset + start
    return replace(recording, offset=offset, length=length, start=start, total_length=recording.length)
