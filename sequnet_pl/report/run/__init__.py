"""The report of a run, made from the files in its folder: `python -m sequnet_pl.report.run FOLDER`.

It shows how the run learns, how it sounds now, what is odd, and how fast it goes, in one file that needs no account.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from markupsafe import Markup

from sequnet_pl.errors import UsageError
from sequnet_pl.report import page
from sequnet_pl.report.charts import codes_chart, measure_charts, save_curves, score_charts
from sequnet_pl.report.flags import MEANING, Flag
from sequnet_pl.report.listening import ClipEntry, clip_card
from sequnet_pl.report.metrics import FILE, Metrics
from sequnet_pl.report.run_folder import CONFIG, WARNINGS, read_facts, read_text, sampling_folders
from sequnet_pl.report.sampled import SampledClip, Sampling, read_sampling
from sequnet_pl.report.samples import FileSamples

PAGE = "report.html"
CURVES = "curves.png"

_LINKED = 40  # earlier samplings, spread evenly over all
_NORMAL = (
    "Bits per sample: lower is better, 8 is a guess. The dashed lines are tables of codes learnt on the training "
    "recordings: a network that is no better than the lower one has learnt nothing that takes a network."
)
_LISTEN = (
    "Each continuation is followed by what really follows in the recording. Generated clips should cost the network "
    "about as many bits as recordings do: far fewer is dull, far more is noise."
)


def write_report(folder: Path) -> Path:
    """Write `report.html` and `curves.png` into a run folder, and give the page's path.

    Raises UsageError where the folder is none of a run, UserError where a file cannot be written.
    """
    if not any((folder / name).is_file() for name in (FILE, CONFIG)):
        raise UsageError(f"{folder} is no run folder: it has neither {FILE} nor {CONFIG}")
    path, metrics = folder / PAGE, Metrics(folder)
    save_curves(folder / CURVES, metrics)
    page.write_page(path, f"Run {folder.name}", list(_parts(folder, path, metrics)))
    return path


def _parts(folder: Path, path: Path, metrics: Metrics) -> Iterator[Markup]:
    facts = read_facts(folder)
    logged = f", logged until step {metrics.steps:,}" if metrics.steps else ""  # which may be steps ago
    yield page.note(f"Written {datetime.now():%Y-%m-%d %H:%M}{logged}.")
    yield page.facts(_facts(facts, metrics))
    warnings = read_text(folder / WARNINGS).splitlines()
    yield from (page.warning(line) for line in warnings[-5:])
    if len(warnings) > 5:
        yield page.more(f"All {len(warnings)} warnings", [page.warning(line) for line in warnings])
    yield page.heading("Is it learning?", "learning")
    scores = [page.chart(chart.figure(), chart.title) for chart in score_charts(metrics)]
    yield page.note(_NORMAL) if scores else page.paragraph("Nothing has been logged yet.")
    yield from scores
    yield from _sampled(folder, path)
    yield page.heading("Is it fast, is it stable?", "speed")
    yield from (page.chart(chart.figure(), chart.title) for chart in measure_charts(metrics))
    yield page.heading("What is it?", "settings")
    yield from (page.command(command) for command in facts.get("commands", [])[-1:])
    yield page.more("All settings", [Markup('<pre class="settings">{}</pre>').format(read_text(folder / CONFIG))])


def _facts(facts: dict, metrics: Metrics) -> Iterator[tuple[str, object]]:
    if best := metrics.best("val/bits_per_sample"):
        yield "best validation", f"{best[1]:.3f} bits per sample, step {best[0]:,}"
    if (train := metrics.last("train/bits_per_sample")) is not None:
        yield "newest batch", f"{train:.3f} bits per sample"
    for name, label in (("hours_heard", "audio heard"), ("wall_hours", "time")):
        if (hours := metrics.last(name)) is not None:
            yield label, _duration(hours)
    if (speed := metrics.last("speed/samples_per_second")) is not None:
        yield "speed", f"{speed:,.0f} samples a second"
    if facts:
        data = facts["data"]
        yield "network", f"{facts['network']}, {facts['parameters']:,} parameters"
        yield "receptive field", f"{facts['receptive_field_ms']:,} ms"
        for name, split in data["splits"].items():
            yield name, f"{_duration(split['hours'])}, recordings: {split['recordings']:,}"
        yield "data fingerprint", data["fingerprint"]
        yield "commit", facts["commit"] or "–"


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def _sampled(folder: Path, path: Path) -> Iterator[Markup]:
    """The newest sampling at large, the earlier ones as links."""
    *earlier, newest = sampling_folders(folder) or [None]
    sampling = read_sampling(newest) if newest else None
    if not (newest and sampling):
        return
    yield page.heading(f"What does it sound like at step {sampling.step:,}?", "sound")
    yield page.note(_LISTEN)
    yield from (clip_card(_entry(newest, sampling, clip), path) for clip in sampling.clips)
    yield page.chart(codes_chart(sampling.real_codes, sampling.generated_codes), "codes, real and generated")
    if earlier:
        places = np.unique(np.linspace(0, len(earlier) - 1, _LINKED).round().astype(int)).tolist()
        found = [(earlier[place], old) for place in places if (old := read_sampling(earlier[place]))]
        yield page.more(f"Earlier samplings, {len(found)} of {len(earlier)}", [_links(found, path)])


def _entry(folder: Path, sampling: Sampling, clip: SampledClip) -> ClipEntry:
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
        after="recording" if clip.kind == "recording" else "generated",
        details={"from": Path(clip.source).name} if clip.source else {},
    )


def _links(samplings: Sequence[tuple[Path, Sampling]], path: Path) -> Markup:
    names = list(dict.fromkeys(clip.name for _, sampling in samplings for clip in sampling.clips))

    def cell(folder: Path, sampling: Sampling, name: str) -> Markup | str:
        clip = next((clip for clip in sampling.clips if clip.name == name), None)
        if clip is None:
            return "–"
        bits = "–" if clip.bits_per_sample is None else f"{clip.bits_per_sample:.2f}"
        badges = [page.badge(flag, MEANING[Flag(flag)], warns=True) for flag in clip.flags]
        return Markup(" ").join([page.link(page.relative_address(folder / f"{name}.wav", path), bits), *badges])

    rows = [[sampling.step, *(cell(folder, sampling, name) for name in names)] for folder, sampling in samplings]
    return page.table(["step", *names], rows, "bits per sample; each number opens the clip")
