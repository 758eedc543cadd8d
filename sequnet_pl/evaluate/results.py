"""A comparison as the content of a JSON file, as text for tables, and as a page with charts and clips."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.errors import UserError
from sequnet_pl.evaluate.comparison import SETS, Comparison, Estimate, Result
from sequnet_pl.evaluate.features import SCALARS, mel_frequencies
from sequnet_pl.report.charts import COLOURS, GREY, Chart, series
from sequnet_pl.report.clip import PageClip, view
from sequnet_pl.report.page import write_page

FORMAT = "sequnet_pl evaluation, version 1"
NUMBERS = "evaluation.json"
PAGE = "evaluation.html"

UNITS = {scalar.key: scalar.unit for scalar in SCALARS}
"""Of the means."""
HEADINGS = {"generated": "generated", "real": "real vs. real", "noise": "noise vs. real"}
_COLOUR = {"noise": GREY, "real": COLOURS[1], "reference": COLOURS[1], "generated": COLOURS[0]}


def check_output_dir(folder: Path) -> None:
    """Raise UserError if files of a folder that are not of an earlier evaluation would be overwritten."""
    if not (there := [name for name in (NUMBERS, PAGE) if (folder / name).exists()]):
        return
    try:
        ours = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise UserError(
            f"{folder / there[0]} was not written by this program; move it away, or choose a folder with --output_dir"
        )


def dump(comparison: Comparison, made: Mapping[str, Any]) -> str:
    """The text of evaluation.json: `made`, how the evaluation was made, and all numbers; missing ones are null."""
    features = comparison.features
    numbers = {
        "clips": comparison.clips,
        "seconds": comparison.samples / comparison.rate,
        "sample_rate": comparison.rate,
        "silent_clips": comparison.silent,
        "measures": {key: _plain(result) for key, result in comparison.results.items()},
        "curves": {
            "mel_frequencies_hz": mel_frequencies(comparison.rate).tolist(),
            "long_term_spectrum_db": {name: found.spectrum().tolist() for name, found in features.items()},
            "code_histogram": {name: found.histogram().tolist() for name, found in features.items()},
        },
        "features_of_clips": {
            name: {
                scalar.key: [_number(value) for value in column]
                for scalar, column in zip(SCALARS, found.scalars.T.tolist(), strict=True)
            }
            for name, found in features.items()
        },
    }
    return json.dumps({"format": FORMAT, **made, **numbers}, indent=1, allow_nan=False) + "\n"


def _plain(result: Result) -> dict[str, Any]:
    values: dict[str, Any] = {"name": result.measure.name, "unit": result.measure.unit}
    values["distance"] = {
        name: {"value": _number(found.value), "error": _number(found.error)} for name, found in result.distance.items()
    }
    if result.mean:
        values["mean"] = {name: _number(value) for name, value in result.mean.items()}
        values["missing_clips"] = result.missing
    return values


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def verdict(comparison: Comparison) -> str:
    """One line on the generated clips by the first measure, with the bounds by real clips and by noise."""
    result = next(iter(comparison.results.values()))
    generated, real, noise = (result.distance[name] for name in SETS)
    unit = result.measure.unit
    if generated.value - real.value <= generated.error + real.error:
        where = "As close to the recordings as other recordings"
    elif generated.value >= noise.value:
        where = "Not closer to the recordings than noise"
    elif 2 * generated.value > real.value + noise.value:
        where = "Closer to noise than to the recordings"
    else:
        where = "Closer to the recordings than to noise"
    distance, *bounds = (f"{_estimate(one)} {unit}" for one in (generated, real, noise))
    return (
        f"{where}: {result.measure.name} {distance}; other recordings {bounds[0]}, noise {bounds[1]}; "
        f"{comparison.silent['generated']:.0%} of the generated clips are silent, {comparison.silent['real']:.0%} of "
        "the recordings"
    )


def with_unit(name: str, unit: str) -> str:
    """The name of a measure, with its unit if it has one."""
    return f"{name}, {unit}" if unit else name


def distances(result: Result) -> list[str]:
    """The cells of SETS: distance and standard error."""
    return [_estimate(result.distance[name]) for name in SETS]


def means(result: Result) -> list[str]:
    """The cells of SETS: mean of a scalar feature, with the number of clips that lack it."""
    cells = []
    for name in SETS:
        missing = result.missing[name]
        cells.append(_digits(result.mean[name]) + (f" ({missing} without)" if missing else ""))
    return cells


def explain_missing(comparison: Comparison) -> str:
    """A remark on "(2 without)" in the cells of `means`; empty if no clip lacks a feature."""
    if not any(sum(result.missing.values()) for result in comparison.results.values()):
        return ""
    return (
        '"(2 without)": two clips lack the feature (a silent clip has no spectral centroid); distance and mean are '
        "those of the other clips."
    )


def _estimate(found: Estimate) -> str:
    """A value with the digits that its error has, at most three after the point."""
    if not math.isfinite(found.error) or found.error == 0:
        return _digits(found.value)
    decimals = min(max(0, -math.floor(math.log10(found.error))), 3)
    return f"{found.value:.{decimals}f} ± {found.error:.{decimals}f}"


def _digits(value: float) -> str:
    """Three significant digits, and all digits of a whole number; "–" for NaN."""
    if not math.isfinite(value):
        return "–"
    if 0 < abs(value) < 1e-3:
        return "< 0.001"
    return f"{value:.0f}" if not value or abs(value) >= 100 else f"{value:#.3g}"


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
    spectra = {name: features.spectrum() for name, features in comparison.features.items()}
    shares = {name: features.histogram() for name, features in comparison.features.items()}
    write_page(
        path,
        "evaluation.html",
        title,
        links,
        verdict=verdict(comparison),
        evaluation_facts=facts,
        command_line=command,
        results=list(comparison.results.values()),
        headings=HEADINGS,
        units=UNITS,
        named=with_unit,
        distances=distances,
        means=means,
        missing=explain_missing(comparison),
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
        clips=[[view(clip, path) for clip in row] for row in clips],
    )


def _lines(x: NDArray[np.float64], curves: Mapping[str, NDArray[np.float64]]) -> list[dict]:
    """A line for each set, and a thin one for the reference: the two halves of the real clips differ as much."""
    return [
        series("" if name == "reference" else name, x, curves[name], colour, width=1 if name == "reference" else 2)
        for name, colour in _COLOUR.items()
    ]
