"""The page of an evaluation: the numbers, what each means, charts of what lies behind them, and clips to listen to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sequnet_pl.evaluate import results
from sequnet_pl.evaluate.comparison import SD, SETS, Comparison, Result
from sequnet_pl.evaluate.features import SCALARS, Features, Scalar, mel_frequencies
from sequnet_pl.report import page
from sequnet_pl.report.figures import COLOURS, QUIET, new_figure
from sequnet_pl.report.player import player

_COLOUR = {"generated": COLOURS[0], "real": COLOURS[1], "noise": QUIET}

READING = (
    "Distances, with standard errors: 0 is alike. Read each beside its neighbours: real against real, other held-out "
    "recordings instead of generated clips, is what a perfect network would get; noise against real is white noise at "
    f"the recordings' level. {SD}: standard deviations of the real clips. Fewer clips give larger distances: compare "
    "evaluations of equally many clips of the same length only."
)


_SPECTRA = "Mean power in mel bands, which are wider the higher they are, so that white noise rises."


@dataclass(frozen=True)
class Heard:
    """A clip on the page: samples (T,), what it is, and where from."""

    kind: str
    origin: str
    samples: NDArray[np.float32]


def write_evaluation_page(
    path: Path,
    title: str,
    comparison: Comparison,
    facts: Iterable[tuple[str, object]],
    command: str,
    clips: Sequence[Sequence[Heard]],
) -> None:
    """Write the page to `path`, with rows of clips to hear side by side. Raises UserError where that fails."""
    found = list(comparison.results.values())
    parts = [
        page.facts(facts),
        page.command(command),
        page.heading("Distances"),
        page.note(READING),
        page.table(
            ["", "unit", *(results.HEADINGS[name] for name in SETS)],
            [(page.explained(r.measure.name, r.measure.meaning), r.measure.unit, *results.distances(r)) for r in found],
        ),
        page.heading("Means"),
        page.table(["", "unit", *SETS], _means(found)),
        page.heading("Charts"),
        page.chart(_spectra(comparison), "long-term spectra", _SPECTRA),
        page.chart(_histograms(comparison), "histograms of codes", "Share of each of the 256 mu-law codes."),
        page.more("How the features of the clips are distributed", _distributions(comparison)),
        page.heading("Listen"),
        page.note("A few clips, spread evenly over all; nobody has chosen them."),
        *(page.card([page.columns(_heard(clip, comparison.rate, path) for clip in row)]) for row in clips),
    ]
    page.write_page(path, title, parts)


def _heard(clip: Heard, rate: int, path: Path) -> Markup:
    name = Markup("<p><b>{}</b> {}</p>").format(clip.kind, clip.origin)
    return Markup("<div>{}{}</div>").format(name, player(clip.samples, rate, 0.0, path))


def _means(found: Sequence[Result]) -> list[tuple[str, ...]]:
    return [(r.measure.name, results.UNITS[r.measure.key], *results.means(r)) for r in found if r.mean]


def _lines(axes: Axes, x: NDArray[np.float64], features: dict[str, Features], curve: str) -> None:
    """A line for each set, and a thin one for the second half of the real clips: so much do halves differ."""
    for name in ("noise", "real", "reference", "generated"):
        second = name == "reference"
        axes.plot(
            x,
            getattr(features[name], curve)(),
            color=_COLOUR["real" if second else name],
            linewidth=0.8 if second else 1.6,
            label="_" if second else name,
        )
    handles, labels = axes.get_legend_handles_labels()
    order = [labels.index(name) for name in SETS]
    axes.legend([handles[i] for i in order], SETS, frameon=False)


def _spectra(comparison: Comparison) -> Figure:
    figure, axes = new_figure("Hz", "dB")
    _lines(axes, mel_frequencies(comparison.rate), comparison.features, "spectrum")
    axes.set_xscale("log")
    ticks = [hertz for hertz in (125, 250, 500, 1000, 2000, 4000, 8000, 16000) if hertz < comparison.rate / 2]
    axes.set_xticks(ticks, [f"{hertz // 1000}k" if hertz >= 1000 else str(hertz) for hertz in ticks])
    axes.minorticks_off()
    return figure


def _histograms(comparison: Comparison) -> Figure:
    figure, axes = new_figure("code", "share")
    _lines(axes, np.arange(256.0), comparison.features, "histogram")
    axes.set_yscale("log")
    axes.set_ylim(bottom=1e-6)
    return figure


def _distributions(comparison: Comparison) -> list[Markup]:
    """A chart for each feature in which any clips differ."""
    both = comparison.features["real"].joined(comparison.features["reference"])
    sets = {"noise": comparison.features["noise"], "real": both, "generated": comparison.features["generated"]}
    return [
        page.chart(_distribution(scalar, sets, column), f"distribution of the {scalar.name}")
        for column, scalar in enumerate(SCALARS)
        if len(np.unique(np.concatenate([features.scalars[:, column] for features in sets.values()]))) > 1
    ]


def _distribution(scalar: Scalar, sets: dict[str, Features], column: int) -> Figure:
    """A strip of boxes: median, quartiles, and whiskers to the 5th and 95th percentile."""
    figure, axes = new_figure(f"{scalar.name}, {scalar.unit}" if scalar.unit else scalar.name, "", height=1.5)
    for row, (name, features) in enumerate(sets.items()):
        values = features.scalars[:, column]
        values = values[np.isfinite(values)]
        style = {"color": _COLOUR[name], "linewidth": 1.4}
        axes.boxplot(
            values, positions=[row], orientation="horizontal", widths=0.6, whis=(5, 95), showfliers=False,
            boxprops=style, whiskerprops=style, capprops=style, medianprops=style | {"linewidth": 3.0},
        )  # fmt: skip
    axes.set_yticks(range(len(sets)), list(sets))
    axes.set_ylim(-0.6, len(sets) - 0.4)
    axes.grid(axis="y", visible=False)
    return figure
