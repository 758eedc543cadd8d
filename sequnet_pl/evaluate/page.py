"""The page of an evaluation: the numbers, what each means, charts of what lies behind them, and clips to listen to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sequnet_pl.evaluate import results
from sequnet_pl.evaluate.comparison import SD, SETS, Comparison, Result
from sequnet_pl.evaluate.features import SCALARS, Features, Scalar, mel_frequencies
from sequnet_pl.report import page
from sequnet_pl.report.chart import COLOURS, QUIET, Chart, Curve, Look
from sequnet_pl.report.drawing import draw
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
    links: Iterable[tuple[str, Path]] = (),
) -> None:
    """Write the page to `path`, with rows of clips to hear side by side; `links` are those of `page.write_page`.

    Raises UserError where that fails.
    """
    found = list(comparison.results.values())
    parts = [
        Markup("<p><b>{}</b></p>").format(results.verdict(comparison)),
        page.facts(facts),
        page.command(command),
        page.heading("Distances"),
        page.note(READING),
        page.table(
            ["", *(results.HEADINGS[name] for name in SETS)],
            [(_named(r, r.measure.unit), *results.distances(r)) for r in found],
        ),
        page.heading("Means"),
        page.table(["", *SETS], _means(found)),
        page.heading("Charts"),
        page.columns(
            [
                draw(_spectra(comparison), _SPECTRA),
                draw(_histograms(comparison), "Share of each of the 256 mu-law codes."),
            ]
        ),
        page.more("How the features of the clips are distributed", [page.columns(_distributions(comparison))]),
        page.heading("Listen"),
        page.note("A few clips, spread evenly over all; nobody has chosen them."),
        page.pairs([_heard(clip, comparison.rate, path) for clip in row] for row in clips),
    ]
    page.write_page(path, title, parts, links)


def _heard(clip: Heard, rate: int, path: Path) -> Markup:
    name = Markup("<p><b>{}</b> {}</p>").format(clip.kind, clip.origin)
    return Markup('<div class="clip">{}{}</div>').format(name, player(clip.samples, rate, 0.0, path))


def _named(result: Result, unit: str) -> Markup:
    return page.explained(results.with_unit(result.measure.name, unit), result.measure.meaning)


def _means(found: Sequence[Result]) -> list[tuple[str, ...]]:
    return [
        (results.with_unit(r.measure.name, results.UNITS[r.measure.key]), *results.means(r)) for r in found if r.mean
    ]


def _lines(x: NDArray[np.float64], features: dict[str, Features], curve: str) -> list[Curve]:
    """A line for each set, and a thin one for the second half of the real clips: so much do halves differ."""
    drawn = []
    for name in ("noise", "real", "reference", "generated"):
        second = name == "reference"
        heights = np.asarray(getattr(features[name], curve)(), float)
        drawn.append(
            Curve(
                name="" if second else name,
                points=np.array([x, np.where(heights > 0, heights, np.nan) if curve == "histogram" else heights]),
                colour=_COLOUR["real" if second else name],
                look=Look.STROKE,
                width=1 if second else 2,
            )
        )
    return drawn


def _spectra(comparison: Comparison) -> Chart:
    return Chart(
        title="long-term spectra",
        xlabel="Hz",
        ylabel="dB",
        curves=_lines(mel_frequencies(comparison.rate), comparison.features, "spectrum"),
        log_x=True,
    )


def _histograms(comparison: Comparison) -> Chart:
    return Chart(
        title="histograms of codes",
        xlabel="code",
        ylabel="share",
        curves=_lines(np.arange(256.0), comparison.features, "histogram"),
        bottom=1e-6,
        log_y=True,
    )


def _distributions(comparison: Comparison) -> list[Markup]:
    """A chart for each feature in which any clips differ."""
    both = comparison.features["real"].joined(comparison.features["reference"])
    sets = {"noise": comparison.features["noise"], "real": both, "generated": comparison.features["generated"]}
    return [
        draw(_distribution(scalar, {name: features.scalars[:, column] for name, features in sets.items()}))
        for column, scalar in enumerate(SCALARS)
        if len(np.unique(np.concatenate([features.scalars[:, column] for features in sets.values()]))) > 1
    ]


def _distribution(scalar: Scalar, sets: dict[str, NDArray[np.float64]]) -> Chart:
    """Rows of strips: a dot at the median, thick between the quartiles, thin from the 5th to the 95th percentile."""
    curves = []
    for row, (name, values) in enumerate(sets.items()):
        if not len(values := values[np.isfinite(values)]):
            continue
        low, first, median, third, high = np.percentile(values, (5, 25, 50, 75, 95))
        for places, look, width in (
            ((low, high), Look.STROKE, 1.5), ((first, third), Look.STROKE, 7), ((median,), Look.DOTS, 12),
        ):  # fmt: skip
            points = np.array([places, [float(row)] * len(places)])
            curves.append(Curve(name="", points=points, colour=_COLOUR[name], look=look, width=width))
    return Chart(title=scalar.name, xlabel=scalar.unit, ylabel="", curves=curves, rows=list(sets), size=5)
