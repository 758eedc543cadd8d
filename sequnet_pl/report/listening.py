"""The page to listen on: every clip with its player, what the network thinks of it, and how to make it again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from sequnet_pl.report import page
from sequnet_pl.report.flags import MEANING, Flag, flags, level
from sequnet_pl.report.player import player
from sequnet_pl.report.samples import Samples, Tail

_ORDER = (
    "Sorted by likelihood: the clips that the network itself finds most likely, at the fewest bits per sample, come "
    "first. That is the usual way to find the good ones among many. Silence and loops are likely too, so a clip with a "
    "warning is no good clip however few bits it has; and a low temperature makes fewer bits, so compare clips of one "
    "temperature."
)


@dataclass(frozen=True, kw_only=True)
class ClipEntry:
    """One clip on the page.

    Attributes:
        name: heading of the clip, usually its file name.
        wav: the file that holds the clip; the page links it.
        samples: prompt and continuation, (T,) float32; `FileSamples` where the clip is too long for memory.
        rate: Hz.
        border: seconds at which the prompt ends, 0 where there is none.
        bits_per_sample: what the network gives to its own part of the clip; None or NaN where it was not measured.
        temperature: of the draws; 0 takes the likeliest code; None where nothing was drawn.
        seed: of the random numbers.
        kind: where the clip starts from, in a word ("continuation", "silence").
        command: the command line that makes it again; empty where there is none.
        after: what the part after the border is, in a word.
        details: anything else worth knowing, by name.
    """

    name: str
    wav: Path
    samples: Samples
    rate: int
    border: float
    bits_per_sample: float | None
    temperature: float | None
    seed: int
    kind: str
    command: str = ""
    after: str = "generated"
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def bits(self) -> float:
        """Bits per sample for sorting: infinite where unknown, so that such clips come last."""
        if self.bits_per_sample is None or math.isnan(self.bits_per_sample):
            return math.inf
        return self.bits_per_sample


def write_listening_page(path: Path, title: str, clips: Sequence[ClipEntry], warnings: Sequence[str] = ()) -> None:
    """Write the page to `path`, the likeliest clip first.

    Flags are told from the generated part alone: a prompt that clips is not the network's doing.
    Raises UserError where a clip cannot be read or the page cannot be written.
    """
    ranked = sorted(clips, key=lambda clip: clip.bits)
    found = [_flags(clip) for clip in ranked]
    parts = [page.warning(text) for text in warnings]
    if not ranked:
        parts.append(page.paragraph("No clips were made."))
    if len(ranked) > 1:
        parts += [page.note(_ORDER), page.more(f"All {len(ranked)} clips in a table", [_overview(ranked, found)])]
    parts += [clip_card(clip, path, f"clip{i}") for i, clip in enumerate(ranked)]
    page.write_page(path, title, parts)


def _flags(clip: ClipEntry) -> list[Flag]:
    return flags(Tail(clip.samples, round(clip.border * clip.rate)), clip.rate)


def _bits(clip: ClipEntry) -> str:
    return f"{clip.bits:.3f}" if math.isfinite(clip.bits) else "–"


def _badges(found: Sequence[Flag]) -> Markup:
    return Markup(" ").join(page.badge(flag, MEANING[flag], warns=True) for flag in found)


def _overview(clips: Sequence[ClipEntry], found: Sequence[Sequence[Flag]]) -> Markup:
    header = ("clip", "bits per sample", "warnings", "temperature", "seed", "from")
    rows = [
        (
            page.link(f"#clip{i}", page.file_name(clip.name)),
            _bits(clip),
            _badges(flagged),
            _temperature(clip),
            clip.seed,
            clip.kind,
        )
        for i, (clip, flagged) in enumerate(zip(clips, found, strict=True))
    ]
    return page.table(header, rows)


def _temperature(clip: ClipEntry) -> str:
    return "–" if clip.temperature is None else f"{clip.temperature:g}"


def clip_card(clip: ClipEntry, path: Path, anchor: str = "") -> Markup:
    """A clip with its player, its facts and what may be wrong with it, for the page at `path`.

    Raises UserError where the clip cannot be read.
    """
    title = Markup('<div class="title"><h2>{}</h2> {}</div>').format(page.file_name(clip.name), page.badge(clip.kind))
    length = f"{clip.seconds:.2f} s" + (f", prompt {clip.border:.2f} s" if clip.border > 0 else "")
    drawn = [("temperature", _temperature(clip)), ("seed", clip.seed)] if clip.temperature is not None else []
    values = [
        ("bits per sample", _bits(clip)),
        *drawn,
        ("length", length),
        ("level", f"{max(level(clip.samples), -99):.0f} dBFS"),
        *clip.details.items(),
        ("file", page.link(page.relative_address(clip.wav, path), page.file_name(clip.wav.name))),
    ]
    return page.card(
        [
            title,
            *(page.warning(f"{flag}: {MEANING[flag]}") for flag in _flags(clip)),
            player(clip.samples, clip.rate, clip.border, path, clip.wav, clip.after),
            page.facts(values),
            *([page.command(clip.command)] if clip.command else []),
        ],
        anchor,
    )
