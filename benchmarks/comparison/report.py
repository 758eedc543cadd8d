"""The report of a comparison: report.html, which needs nothing beside it, and report.md with its pictures."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from benchmarks.comparison.charts import claim_chart, distance_chart, learning_chart
from benchmarks.comparison.results import Found
from benchmarks.comparison.rows import CLAIM, HEADER, NAMES, NETWORKS, rows
from benchmarks.comparison.stages import Contender
from sequnet_pl import atomic
from sequnet_pl.audio import files
from sequnet_pl.report import page
from sequnet_pl.report.chart import Chart
from sequnet_pl.report.drawing import draw, switched
from sequnet_pl.report.figures import save
from sequnet_pl.report.player import player
from sequnet_pl.report.samples import FileSamples
from sequnet_pl.sampling import album, recipe
from sequnet_pl.sampling.recipe import Clip

_HEARD = 4  # clips of each network; more make the page large
_TITLE = "Seq-U-Net and WaveNet"
_ALIGNED = ("---", "---:", "---:", "---:", "---")
_SPEEDS = (
    "Speeds were measured after training, both networks taking turns, so that a busy moment of the machine meets both; "
    "they are medians of turns. Wall time has all that happened during a training, validation and other work of the "
    "machine too."
)
_CLIPS = (
    "The first clips of each network, which nobody has chosen. Both go on from the same test recordings, with the same "
    "random numbers."
)


def write_report(folder: Path, title: str, command: str, found: dict[str, Found], runs: Sequence[Contender]) -> None:
    """Write report.html, report.md and its pictures into `folder`. Raises UserError where that fails."""
    table = [row.cells for row in rows(found)]
    facts = list(_facts(title, found))
    charts = _charts(found, runs)
    parts = [
        page.table(HEADER, table),
        page.note(CLAIM),
        page.facts(facts),
        page.command(command),
        draw(charts["claims"]),
        switched("over", [("steps", charts["steps"]), ("time", charts["time"])]),
        draw(charts["distance"]),
        page.note(_SPEEDS),
        page.heading("Clips"),
        page.note(_CLIPS),
        *_heard(folder / "report.html", runs),
    ]
    page.write_page(folder / "report.html", _TITLE, parts)
    for name, chart in charts.items():
        save(folder / f"{name}.png", chart)
    text = [
        f"# {_TITLE}",
        "\n".join(map(_line, (HEADER, _ALIGNED, *table))),
        CLAIM,
        f"    {command}",
        "\n".join(f"- {name}: {value}" for name, value in facts),
        *(f"![{chart.title}]({name}.png)" for name, chart in charts.items()),
        _SPEEDS,
        "## Clips",
        _CLIPS,
        "\n".join(_linked(folder, runs)),
    ]
    atomic.write_text(folder / "report.md", "\n\n".join(text) + "\n")


def _facts(title: str, found: dict[str, Found]) -> Iterator[tuple[str, str]]:
    trained, tested, machine = (found[f"{stage}"] for stage in ("train sequnet", "test sequnet", "machine"))
    data, sound = trained["data"], found["evaluate sequnet"]
    yield "scale", title
    yield "recordings", Path(data["audio_dir"]).name if data["audio_dir"] else data["dataset"]
    steps = {found[f"train {network}"]["steps"] for network in NETWORKS}
    batch = f"{data['batch_size']} x {data['output_size']:,} targets"
    yield "learnt for", f"{' and '.join(f'{step:,}' for step in sorted(steps))} steps of {batch}"
    yield "tested on", f"{tested['samples']:,} samples, {tested['samples'] / data['sample_rate']:,.0f} s"
    table, bits = list(tested["tables"].items())[-1]
    yield table, f"{bits:.3f} bits per sample"
    yield "sound compared", f"{sound['clips']} clips of each kind"
    yield "speeds on", f"{machine['device']}, torch {machine['torch']}"
    yield "sampling engine", found["sampling speed"]["engine"]


def _charts(found: dict[str, Found], runs: Sequence[Contender]) -> dict[str, Chart]:
    folders = {run.network: run.folder for run in runs}
    return {
        "claims": claim_chart(found),
        "steps": learning_chart(folders, "step"),
        "time": learning_chart(folders, "wall_hours"),
        "distance": distance_chart(found),
    }


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _made(run: Contender) -> list[Clip]:
    clips = recipe.load((run.clips / album.LIST).read_text(encoding="utf-8"))
    return sorted(clips, key=lambda clip: clip.recipe.clip)[:_HEARD]


def _linked(folder: Path, runs: Sequence[Contender]) -> list[str]:
    """Rows of links to the clips and to their spectrograms."""
    lines = [
        "| goes on from | " + " | ".join(NAMES[run.network] for run in runs) + " |",
        "|---" * (1 + len(runs)) + "|",
    ]
    for clips in zip(*map(_made, runs), strict=True):
        cells = [_source(clips[0])]
        for run, clip in zip(runs, clips, strict=True):
            wav, picture = (
                page.relative_address(run.clips / name, folder / "report.md") for name in (clip.wav, clip.spectrogram)
            )
            cells.append(f"[listen]({wav}), [spectrogram]({picture})")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _source(clip: Clip) -> str:
    return f"{Path(clip.recipe.prompt).name}, {clip.recipe.prompt_end:.2f} s"


def _heard(path: Path, runs: Sequence[Contender]) -> Iterator[Markup]:
    """Cards of a clip of each network side by side, with what the recording really does."""
    for clips in zip(*map(_made, runs), strict=True):
        first = clips[0].recipe
        border, rate = first.prompt_samples / first.sample_rate, first.sample_rate
        start = max(0.0, first.prompt_end - border)
        real = files.read(Path(first.prompt), rate, start, clips[0].samples / rate)
        players = [
            _named(
                NAMES[run.network], player(FileSamples(run.clips / clip.wav), rate, border, path, run.clips / clip.wav)
            )
            for run, clip in zip(runs, clips, strict=True)
        ]
        recording = page.more("What the recording does", [player(real, rate, 0.0, path)])
        yield page.card([page.paragraph(f"after {_source(clips[0])}"), page.columns(players), recording])


def _named(name: str, part: Markup) -> Markup:
    return Markup('<div class="clip"><p><b>{}</b></p>{}</div>').format(name, part)
