"""The page to listen on: every clip with its player, what the network thinks of it, and how to make it again."""

import math
from collections.abc import Iterable, Mapping, Sequence
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
_FILTER = Markup(
    '<button type="button" data-filter="{filter}" data-value="{value}" aria-pressed="false">{value}</button>'
)


@dataclass(frozen=True, kw_only=True)
class ClipEntry:
    """One clip on the page.

    Attributes:
        name: heading of the clip.
        wav: the file that holds the clip; the page links it.
        samples: prompt and continuation, (T,) float32; `FileSamples` where the clip is too long for memory.
        rate: Hz.
        border: seconds at which the prompt ends, 0 where there is none.
        bits_per_sample: what the network gives to its own part of the clip; None or NaN where it was not measured.
        temperature: of the draws; 0 takes the likeliest code; None where nothing was drawn.
        seed: of the random numbers.
        kind: where the clip starts from, in a word ("continuation", "silence"); empty where that is clear.
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


def write_listening_page(
    path: Path,
    title: str,
    clips: Sequence[ClipEntry],
    warnings: Sequence[str] = (),
    links: Iterable[tuple[str, Path]] = (),
) -> None:
    """Write the page to `path`, the likeliest clip first; `links` are those of `page.write_page`.

    Raises UserError where a clip cannot be read or the page cannot be written.
    """
    parts = [page.warning(text) for text in warnings]
    if not clips:
        parts.append(page.paragraph("No clips were made."))
    else:
        parts += [page.note(_ORDER)] if len(clips) > 1 else []
        parts.append(clip_grid(sorted(clips, key=lambda clip: clip.bits), path))
    page.write_page(path, title, parts, links)


def clip_grid(clips: Sequence[ClipEntry], path: Path, filters: bool = True) -> Markup:
    """Cards of clips for the page at `path`, with buttons that leave some out where they differ, if `filters`.

    Raises UserError where a clip cannot be read.
    """
    found = [_flags(clip) for clip in clips]
    sorts = {
        "temperature": ["" if clip.temperature is None else _temperature(clip) for clip in clips],
        "kind": [clip.kind for clip in clips],
        "warning": [" ".join(some) or "none" for some in found],
    }
    groups = []
    for name, values in sorts.items():
        words = sorted({word for value in values for word in value.split()})
        if len(words) > 1 and filters:
            buttons = (_FILTER.format(filter=name, value=word) for word in words)
            groups += [Markup("<span>{}</span>").format(name), *buttons]
    cards = [
        Markup('<section class="card" data-temperature="{}" data-kind="{}" data-warning="{}">{}</section>').format(
            *(sorts[name][i] for name in sorts), _clip(clip, path, found[i])
        )
        for i, clip in enumerate(clips)
    ]
    buttons = Markup('<div class="filters" hidden>{}<output></output></div>\n').format(Markup().join(groups))
    grid = Markup('<div class="clips">{}</div>').format(Markup("\n").join(cards))
    return buttons + grid if groups else grid


def clip_part(clip: ClipEntry, path: Path) -> Markup:
    """A clip with its player, what may be wrong with it and, folded, its facts, for the page at `path`.

    Flags are told from the part after the border alone: a prompt that clips is not the network's doing.
    Raises UserError where the clip cannot be read.
    """
    return _clip(clip, path, _flags(clip))


def _clip(clip: ClipEntry, path: Path, found: Sequence[Flag]) -> Markup:
    part = f"{clip.after} part " if clip.border > 0 else ""
    badges = [] if clip.name.startswith(clip.kind) else [page.badge(clip.kind)]
    badges += [page.badge(f"{part}{flag}", MEANING[flag], warns=True) for flag in found]
    length = f"{clip.seconds:.2f} s" + (f", prompt {clip.border:.2f} s" if clip.border > 0 else "")
    drawn = {"temperature": _temperature(clip), "seed": clip.seed} if clip.temperature is not None else {}
    facts = {
        "bits per sample": _bits(clip),
        **drawn,
        "length": length,
        f"level, {part}".rstrip(", "): f"{max(level(_after(clip)), -99):.0f} dBFS",
        **clip.details,
        "file": page.link(page.relative_address(clip.wav, path), page.file_name(clip.wav.name)),
    }
    brief = [f"{_bits(clip)} bits"] * math.isfinite(clip.bits) + [f"temperature {_temperature(clip)}"] * bool(drawn)
    return Markup('<div class="clip"><div class="title"><h3>{}</h3> {}</div>\n{}\n{}</div>').format(
        page.file_name(clip.name),
        Markup(" ").join(badges),
        player(clip.samples, clip.rate, clip.border, path, clip.wav, clip.after),
        page.more(
            ", ".join(brief) or length,
            [
                *(page.warning(f"{part}{flag}: {MEANING[flag]}") for flag in found),
                page.facts(facts.items()),
                *([page.command(clip.command)] if clip.command else []),
            ],
        ),
    )


def _after(clip: ClipEntry) -> Tail:
    return Tail(clip.samples, round(clip.border * clip.rate))


def _flags(clip: ClipEntry) -> list[Flag]:
    return flags(_after(clip), clip.rate)


def _bits(clip: ClipEntry) -> str:
    return f"{clip.bits:.3f}" if math.isfinite(clip.bits) else "–"


def _temperature(clip: ClipEntry) -> str:
    return "–" if clip.temperature is None else f"{clip.temperature:g}"
