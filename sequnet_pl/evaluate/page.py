"""The page of an evaluation: distances with their meaning, charts of the features behind them, and clips."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.evaluate import results
from sequnet_pl.evaluate.comparison import SD, SETS, Comparison
from sequnet_pl.evaluate.features import SCALARS, mel_frequencies
from sequnet_pl.report.charts import COLOURS, GREY, Chart, series
from sequnet_pl.report.clip import PageClip, view
from sequnet_pl.report.page import write_page

READING = (
    "Distances with standard errors; 0 means identical. Compare each with its neighbours: real vs. real, other "
    "held-out recordings instead of generated clips, is the distance of a perfect network; noise vs. real is white "
    f"noise at the level of the recordings. {SD}: standard deviations of the real clips. Fewer clips have larger "
    "distances, so compare only evaluations with the same number of clips of the same length."
)
_COLOUR = {"noise": GREY, "real": COLOURS[1], "reference": COLOURS[1], "generated": COLOURS[0]}

Distribution = tuple[str, str, list[tuple[str, str, list[float]]], tuple[str, str]]
"""Name and unit of a feature; name, colour and percentiles of each set, in percent of the axis; ends of the axis."""


def write_evaluation_page(
    path: Path,
    title: str,
    comparison: Comparison,
    facts: Mapping[str, object],
    command: str,
    clips: Sequence[Sequence[PageClip]],
    links: Iterable[tuple[str, Path]] = (),
) -> None:
    """Write the page to `path`, with rows of clips side by side. Raises UserError if that fails."""
    found = list(comparison.results.values())
    spectra = {name: features.spectrum() for name, features in comparison.features.items()}
    shares = {name: features.histogram() for name, features in comparison.features.items()}
    write_page(
        path,
        "evaluation.html",
        title,
        links,
        verdict=results.verdict(comparison),
        evaluation_facts=facts,
        command_line=command,
        reading=READING,
        sets=SETS,
        headings=[results.HEADINGS[name] for name in SETS],
        distances=[
            (results.with_unit(one.measure.name, one.measure.unit), one.measure.meaning, results.distances(one))
            for one in found
        ],
        means=[
            (results.with_unit(one.measure.name, results.UNITS[one.measure.key]), results.means(one))
            for one in found
            if one.mean
        ],
        missing=results.explain_missing(comparison),
        spectra=Chart(
            title="long-term spectra",
            unit="dB",
            xlabel="Hz",
            series=_lines(mel_frequencies(comparison.rate), spectra),
            log_x=True,
        ),
        histograms=Chart(
            title="histograms of codes",
            unit="share",
            xlabel="code",
            series=_lines(np.arange(256.0), {name: np.where(y > 0, y, np.nan) for name, y in shares.items()}),
            log_y=True,
        ),
        distributions=list(_distributions(comparison)),
        clips=[[view(clip, path) for clip in row] for row in clips],
    )


def _lines(x: NDArray[np.float64], curves: Mapping[str, NDArray[np.float64]]) -> list[dict]:
    """A line for each set, and a thin one for the reference: the two halves of the real clips differ as much."""
    return [
        series("" if name == "reference" else name, x, curves[name], colour, width=1 if name == "reference" else 2)
        for name, colour in _COLOUR.items()
    ]


def _distributions(comparison: Comparison) -> Iterator[Distribution]:
    """Of each feature that differs between clips: the 5th, 25th, 50th, 75th and 95th percentile in each set."""
    both = comparison.features["real"].joined(comparison.features["reference"])
    sets = {name: both if name == "real" else comparison.features[name] for name in SETS}
    for column, scalar in enumerate(SCALARS):
        values = {name: features.scalars[:, column] for name, features in sets.items()}
        finite = {name: each[np.isfinite(each)] for name, each in values.items()}
        spread = {name: np.percentile(each, (5, 25, 50, 75, 95)) for name, each in finite.items() if len(each)}
        low, high = min(map(min, spread.values()), default=0), max(map(max, spread.values()), default=0)
        if high > low:
            rows = [
                (name, _COLOUR[name], (100 * (each - low) / (high - low)).round(2).tolist())
                for name, each in spread.items()
            ]
            yield scalar.name, scalar.unit, rows, (f"{low:.4g}", f"{high:.4g}")
