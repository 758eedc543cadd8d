"""The report of a comparison: report.md with all figures, and report.html, the page of both runs."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.comparison.results import Found
from benchmarks.comparison.rows import CLAIM, HEADER, NAMES, NETWORKS, advantages, rows
from benchmarks.comparison.stages import Contender
from sequnet_pl import atomic
from sequnet_pl.report.compare import write_comparison
from sequnet_pl.report.page import relative_url
from sequnet_pl.sampling import album, recipe
from sequnet_pl.sampling.recipe import Clip

_LINKED = 4  # clips of each network
_ALIGNED = ("---", "---:", "---:", "---:", "---")
_SPEEDS = (
    "Speeds were measured after training in alternating repetitions of both networks, so that other load of the "
    "machine affects both; they are medians. Wall time includes all that happened during a training, also validation "
    "and other work of the machine."
)
_CLIPS = (
    "The first clips of each network, not selected. Both continue the same test recordings with equal random numbers."
)


def write_report(folder: Path, title: str, command: str, found: dict[str, Found], runs: Sequence[Contender]) -> None:
    """Write report.html and report.md into `folder`. Raises UserError if that fails."""
    write_comparison(folder / "report.html", [run.folder for run in runs], "Seq-U-Net and WaveNet")
    text = [
        "# Seq-U-Net and WaveNet",
        "\n".join(map(_line, (HEADER, _ALIGNED, *(row.cells for row in rows(found))))),
        CLAIM,
        "\n".join(_verdicts(found)),
        f"    {command}",
        "\n".join(f"- {name}: {value}" for name, value in _facts(title, found)),
        "Learning curves and settings: [report.html](report.html)",
        _SPEEDS,
        "## Clips",
        _CLIPS,
        "\n".join(_linked(folder, runs)),
    ]
    atomic.write_text(folder / "report.md", "\n\n".join(text) + "\n")


def _verdicts(found: dict[str, Found]) -> Iterator[str]:
    """Whether each claim is reached; none is if a network is worse than the bigram baseline."""
    for network in NETWORKS:
        tested = found[f"test {network}"]
        bigram = list(tested["tables"].values())[-2]  # uniform, unigram, bigram, trigram
        if tested["bits_per_sample"] > bigram:
            yield (
                f"- No claim is reached: {NAMES[network]} has {tested['bits_per_sample']:.3f} bits per sample, more "
                f"than the bigram baseline, {bigram:.3f}; train longer."
            )
            return
    for name, times, claim in advantages(found):
        yield f"- {name}: {times:.2f} times better, claim {claim:g}: {'reached' if times >= claim else 'not reached'}"


def _facts(title: str, found: dict[str, Found]) -> Iterator[tuple[str, str]]:
    trained, tested, machine = (found[f"{stage}"] for stage in ("train sequnet", "test sequnet", "machine"))
    data, sound = trained["data"], found["evaluate sequnet"]
    yield "scale", title
    yield "recordings", Path(data["audio_dir"]).name if data["audio_dir"] else data["dataset"]
    steps = {found[f"train {network}"]["steps"] for network in NETWORKS}
    batch = f"{data['batch_size']} x {data['output_size']:,} targets"
    yield "trained for", f"{' and '.join(f'{step:,}' for step in sorted(steps))} steps of {batch}"
    yield "tested on", f"{tested['samples']:,} samples, {tested['samples'] / data['sample_rate']:,.0f} s"
    table, bits = list(tested["tables"].items())[-1]
    yield table, f"{bits:.3f} bits per sample"
    yield "sound compared", f"{sound['clips']} clips of each kind"
    yield "speeds on", f"{machine['device']}, torch {machine['torch']}"
    yield "sampling engine", found["sampling speed"]["engine"]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _made(run: Contender) -> list[Clip]:
    clips = recipe.load((run.clips / album.LIST).read_text(encoding="utf-8"))
    return sorted(clips, key=lambda clip: clip.recipe.clip)[:_LINKED]


def _linked(folder: Path, runs: Sequence[Contender]) -> list[str]:
    """Rows of links to the clips and to their spectrograms."""
    lines = [
        "| continues | " + " | ".join(NAMES[run.network] for run in runs) + " |",
        "|---" * (1 + len(runs)) + "|",
    ]
    for clips in zip(*map(_made, runs), strict=True):
        cells = [_source(clips[0])]
        for run, clip in zip(runs, clips, strict=True):
            wav, picture = (
                relative_url(run.clips / name, folder / "report.md") for name in (clip.wav, clip.spectrogram)
            )
            cells.append(f"[listen]({wav}), [spectrogram]({picture})")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _source(clip: Clip) -> str:
    return f"{Path(clip.recipe.prompt).name}, {clip.recipe.prompt_end:.2f} s"
