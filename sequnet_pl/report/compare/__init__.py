"""Many runs on one page: `python -m sequnet_pl.report.compare RUN RUN...`, or a folder that holds them.

Their scores, their curves on one chart, what differs in their settings, and the same prompts continued by each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from sequnet_pl.report import page
from sequnet_pl.report.chart import Chart, Curve
from sequnet_pl.report.charts import BITS_AT_MOST, OVER, references
from sequnet_pl.report.drawing import switched
from sequnet_pl.report.listening import ClipEntry, clip_grid
from sequnet_pl.report.metrics import thinned
from sequnet_pl.report.run import clip_entry, duration
from sequnet_pl.report.run_folder import NETWORKS, REPORT
from sequnet_pl.report.run_set import ComparedRun, ranked_runs
from sequnet_pl.report.scores import bits, percent
from sequnet_pl.report.settings import differing

PAGE = "compare.html"

_FEW = 5  # runs: so many stand side by side, and their training is drawn too
_PROMPTS = 4  # that are heard; more make the page large
_SOUND = "log_mel_frechet"
_SCORES = (
    "Bits per sample, lower is better: the best validation of each run, and what train.py test found. Sound is the "
    "distance of python -m sequnet_pl.evaluate: lower is nearer to recordings. A dash stands where none was measured."
)


def write_comparison(path: Path, folders: Sequence[Path]) -> None:
    """Write the page of two runs or more to `path`. Raises UserError where that fails."""
    runs = ranked_runs(folders)
    charts = list(_charts(runs))
    parts = [
        *_doubts(runs),
        _table(runs, path, _scores(runs)),
        page.note(_SCORES),
        page.heading("Which learns more, and faster?"),
        switched("over", charts) if charts else page.paragraph("Nothing has been logged yet."),
        page.heading("What differs in their settings?"),
        _table(runs, path, differing([run.config for run in runs])),
        page.heading("How does each go on?"),
        *_heard(runs, path),
    ]
    page.write_page(path, f"Comparison of {len(runs)} runs", parts)


def _doubts(runs: Sequence[ComparedRun]) -> Iterator[Markup]:
    """What forbids to compare their scores."""
    for name, values in (
        ("sample rates", {run.facts.get("sample_rate") for run in runs}),
        ("recordings, told by their fingerprints", {run.facts.get("data", {}).get("fingerprint") for run in runs}),
    ):
        if len(values - {None}) > 1:
            yield page.warning(f"These runs have different {name}, so their scores are not of the same thing.")


def _table(runs: Sequence[ComparedRun], path: Path, columns: dict[str, list[str]]) -> Markup:
    """Values by name, each of every run; few runs stand side by side, many below each other."""
    names = [_name(run, path) for run in runs]
    if not columns:
        return page.paragraph("Nothing does.")
    if len(runs) <= _FEW:
        return page.table(["", *names], [[name, *values] for name, values in columns.items()])
    return page.table(["run", *columns], zip(names, *columns.values(), strict=True))


def _name(run: ComparedRun, path: Path) -> Markup:
    report, name = run.folder / REPORT, page.file_name(run.name)
    linked = page.link(page.relative_address(report, path), name) if report.is_file() else name
    return Markup('<span class="dot" style="color:{}">●</span> {}').format(run.colour, linked)


def _scores(runs: Sequence[ComparedRun]) -> dict[str, list[str]]:
    """What each run is and reaches, by name."""
    best = [run.metrics.best("val/bits_per_sample") for run in runs]
    names = [str(run.facts.get("network", "–")) for run in runs]
    sounds = [run.sound.get(_SOUND, {}).get("distance", {}).get("generated") for run in runs]
    return {
        "network": [NETWORKS.get(name, name) for name in names],
        "parameters": [_count(run.facts.get("parameters")) for run in runs],
        "steps": [_count(run.metrics.steps) for run in runs],
        "audio heard": [duration(run.metrics.last("hours_heard")) for run in runs],
        "time": [duration(run.metrics.last("wall_hours")) for run in runs],
        "validation": [bits(one and one[1]) for one in best],
        "at step": [_count(one and one[0]) for one in best],
        "test": [bits(run.test_bits) for run in runs],
        "accuracy": [percent(run.test.get("accuracy")) for run in runs],
        "sound, dB": ["–" if not one else f"{one['value']:.1f} ± {one['error']:.1f}" for one in sounds],
        "fingerprint": [run.facts.get("data", {}).get("fingerprint", "–") for run in runs],
    }


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _charts(runs: Sequence[ComparedRun]) -> Iterator[tuple[str, Chart]]:
    """Validation of each run, and paler the training of few, over each of OVER."""
    tables = [references(run.metrics) for run in runs]
    for over, (word, xlabel) in OVER.items():
        curves = []
        for run in runs:
            train, val = (run.metrics.curve(f"{split}/bits_per_sample", over) for split in ("train", "val"))
            shown = [(train, True)] if len(runs) <= _FEW or not val.shape[1] else []
            for points, fades in [*shown, (val, False)]:
                name = "" if fades and val.shape[1] else run.name
                if points.shape[1]:
                    curves.append(Curve(name=name, points=thinned(points), colour=run.colour, fades=fades))
        if curves:
            yield (
                word,
                Chart(
                    title=f"validation over {word}{'; pale: training' * (len(runs) <= _FEW)}",
                    xlabel=xlabel,
                    ylabel="bits per sample",
                    curves=curves,
                    heights=tables[0] if all(table == tables[0] for table in tables) else {},
                    most=BITS_AT_MOST,
                    size=20,
                ),
            )


def _heard(runs: Sequence[ComparedRun], path: Path) -> Iterator[Markup]:
    """By prompt, what the recording does and what each run makes of it."""
    heard: dict[str, dict[str, ClipEntry]] = {}  # by source and run
    for run in runs:
        if not run.sampling:
            continue
        folder, sampling = run.sampling
        for clip in sampling.clips:
            if clip.source:
                entry = replace(clip_entry(folder, sampling, clip), kind="", details={"step": f"{sampling.step:,}"})
                key = "" if clip.kind == "recording" else run.name
                if not key:  # it is the same for all, though not to their networks
                    entry = replace(entry, bits_per_sample=None, details={})
                heard.setdefault(clip.source, {}).setdefault(key, replace(entry, name=key or clip.kind))
    common = {source: clips for source, clips in heard.items() if len(clips.keys() - {""}) > 1}
    if not common:
        yield page.paragraph("No prompt was continued by two of them.")
    for source, clips in list(common.items())[:_PROMPTS]:
        yield page.paragraph(f"after {Path(source).name}")
        yield clip_grid([clips[name] for name in ("", *(run.name for run in runs)) if name in clips], path, False)
    if len(common) > _PROMPTS:
        yield page.note(f"These are {_PROMPTS} of the {len(common)} prompts that they share.")
