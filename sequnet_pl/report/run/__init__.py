"""The report of a run, made from the files in its folder: `python -m sequnet_pl.report.run FOLDER`.

It shows how the run learns, how it sounds now, what is odd, and how fast it goes, in one file that needs no account.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from markupsafe import Markup

from sequnet_pl.errors import UsageError
from sequnet_pl.report import page
from sequnet_pl.report.charts import codes_chart, measure_charts, score_charts
from sequnet_pl.report.drawing import draw, switched
from sequnet_pl.report.figures import save
from sequnet_pl.report.flags import MEANING, Flag
from sequnet_pl.report.listening import ClipEntry, clip_grid, clip_part
from sequnet_pl.report.metrics import FILE, Metrics
from sequnet_pl.report.run_folder import (
    CONFIG,
    REPORT,
    WARNINGS,
    add_page,
    is_run,
    read_facts,
    read_text,
    run_pages,
    run_title,
    sampling_folders,
)
from sequnet_pl.report.sampled import SampledClip, Sampling, read_sampling
from sequnet_pl.report.samples import FileSamples

log = logging.getLogger(__name__)

CURVES = "curves.png"

_LINKED = 40  # earlier samplings, spread evenly over all
_NORMAL = (
    "Bits per sample: lower is better, 8 is a guess. The dashed lines are tables of codes learnt on the training "
    "recordings: a network that is no better than the lower one has learnt nothing that takes a network."
)
_LISTEN = (
    "Each continuation stands beside what really follows in the recording. Generated clips should cost the network "
    "about as many bits as recordings do: far fewer is dull, far more is noise."
)
_RELOADS = "It reloads itself every minute, unless a clip plays or a part is unfolded."


def write_report(folder: Path) -> Path:
    """Write `report.html` and `curves.png` into a run folder, and give the page's path.

    Raises UsageError where the folder is none of a run, UserError where a file cannot be written.
    """
    if not is_run(folder):
        raise UsageError(f"{folder} is no run folder: it has neither {FILE} nor {CONFIG}")
    path, metrics = folder / REPORT, Metrics(folder)
    scores, measures = list(score_charts(metrics)), list(measure_charts(metrics))
    if charts := [*(chart for _, chart in scores), *measures]:
        save(folder / CURVES, *charts)
    parts = [*_head(folder, metrics), page.heading("Is it learning?")]
    parts += (
        [page.note(_NORMAL), switched("over", scores)] if scores else [page.paragraph("Nothing has been logged yet.")]
    )
    parts += _sampled(folder, path)
    parts += [page.heading("Is it fast, is it stable?"), page.columns(map(draw, measures))] if measures else []
    parts += _settings(folder)
    page.write_page(path, run_title(folder, "report"), parts, run_pages(folder))
    return path


def link_page(folder: Path, name: str, path: Path) -> None:
    """Link a page that tells of a run from the run's report, written again; a failure is only a warning."""
    try:
        add_page(folder, name, path)
        write_report(folder)
    except Exception as error:  # what was asked for is done
        log.warning("the report in %s does not link %s: %s", folder, path, error or type(error).__name__)


def _head(folder: Path, metrics: Metrics) -> Iterator[Markup]:
    facts, now = read_facts(folder), datetime.now()
    logged = f", logged until step {metrics.steps:,}" if metrics.steps else ""  # which may be steps ago
    text = f"Written {now:%Y-%m-%d %H:%M}{logged}."
    if facts.get("training"):
        age = Markup('<b data-written="{}">then</b>').format(round(1000 * now.timestamp()))
        yield page.note(Markup("{} It trains; this is how it was {}. {}").format(text, age, _RELOADS))
    else:
        yield page.note(text)
    yield page.facts(_facts(facts, metrics))
    warnings = read_text(folder / WARNINGS).splitlines()
    yield from (page.warning(line) for line in warnings[-5:])
    if len(warnings) > 5:
        yield page.more(f"All {len(warnings)} warnings", [page.warning(line) for line in warnings])


def _settings(folder: Path) -> Iterator[Markup]:
    yield page.heading("What is it?")
    yield from (page.command(command) for command in read_facts(folder).get("commands", [])[-1:])
    yield page.more("All settings", [Markup('<pre class="settings">{}</pre>').format(read_text(folder / CONFIG))])


def _facts(facts: dict, metrics: Metrics) -> Iterator[tuple[str, object]]:
    if best := metrics.best("val/bits_per_sample"):
        yield "best validation", f"{best[1]:.3f} bits per sample, step {best[0]:,}"
    if (train := metrics.last("train/bits_per_sample")) is not None:
        yield "newest batch", f"{train:.3f} bits per sample"
    for name, label in (("hours_heard", "audio heard"), ("wall_hours", "time")):
        if (hours := metrics.last(name)) is not None:
            yield label, duration(hours)
    if (speed := metrics.last("speed/samples_per_second")) is not None:
        yield "speed", f"{speed:,.0f} samples a second"
    if facts:
        data = facts["data"]
        yield "network", f"{facts['network']}, {facts['parameters']:,} parameters"
        if begun := facts.get("begun_from"):
            yield "begun from", f"{begun['path']}, step {begun['step']:,}"
        yield "receptive field", f"{facts['receptive_field_ms']:,} ms"
        for name, split in data["splits"].items():
            yield name, f"{duration(split['hours'])}, recordings: {split['recordings']:,}"
        yield "data fingerprint", data["fingerprint"]
        yield "commit", facts["commit"] or "–"


def duration(hours: float | None) -> str:
    """Hours as pages show them."""
    return "–" if hours is None else f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def _sampled(folder: Path, path: Path) -> Iterator[Markup]:
    """The newest sampling at large, the earlier ones as links."""
    *earlier, newest = sampling_folders(folder) or [None]
    sampling = read_sampling(newest) if newest else None
    if not (newest and sampling):
        return
    yield page.heading(f"What does it sound like at step {sampling.step:,}?")
    yield page.note(_LISTEN)
    entries = [clip_entry(newest, sampling, clip) for clip in sampling.clips]
    pairs: dict[str, list[ClipEntry]] = {}
    for entry in entries:
        if entry.border:  # continuation-0 and recording-0 go on from one prompt
            pairs.setdefault(entry.name.rpartition("-")[2], []).append(entry)
    if pairs:
        yield page.pairs([clip_part(entry, path) for entry in pair] for pair in pairs.values())
    if alone := [entry for entry in entries if not entry.border]:
        yield page.heading("From silence")
        yield clip_grid(alone, path)
    yield draw(codes_chart(sampling.real_codes, sampling.generated_codes))
    if earlier:
        places = np.unique(np.linspace(0, len(earlier) - 1, _LINKED).round().astype(int)).tolist()
        found = [(earlier[place], old) for place in places if (old := read_sampling(earlier[place]))]
        yield page.more(f"Earlier samplings, {len(found)} of {len(earlier)}", [_links(found, path)])


def clip_entry(folder: Path, sampling: Sampling, clip: SampledClip) -> ClipEntry:
    """A clip of a sampling, for pages."""
    wav = folder / f"{clip.name}.wav"
    return ClipEntry(
        name=clip.name,
        wav=wav,
        samples=FileSamples(wav),
        rate=sampling.rate,
        border=clip.border,
        bits_per_sample=clip.bits_per_sample,
        temperature=clip.temperature,
        seed=sampling.seed,
        kind=clip.kind,
        after=_after(clip),
        details={"from": Path(clip.source).name} if clip.source else {},
    )


def _after(clip: SampledClip) -> str:
    return "recording" if clip.kind == "recording" else "generated"


def _links(samplings: Sequence[tuple[Path, Sampling]], path: Path) -> Markup:
    names = list(dict.fromkeys(clip.name for _, sampling in samplings for clip in sampling.clips))

    def cell(folder: Path, sampling: Sampling, name: str) -> Markup | str:
        clip = next((clip for clip in sampling.clips if clip.name == name), None)
        if clip is None:
            return "–"
        bits = "–" if clip.bits_per_sample is None else f"{clip.bits_per_sample:.2f}"
        part = f"{_after(clip)} part " if clip.border else ""
        badges = [page.badge(f"{part}{flag}", MEANING[Flag(flag)], warns=True) for flag in clip.flags]
        return Markup(" ").join([page.link(page.relative_address(folder / f"{name}.wav", path), bits), *badges])

    rows = [[sampling.step, *(cell(folder, sampling, name) for name in names)] for folder, sampling in samplings]
    return page.table(["step", *names], rows, "bits per sample; each number opens the clip")
