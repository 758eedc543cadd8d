"""A comparison as the content of a JSON file, as text for tables, and as a page with charts and clips."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.errors import UserError
from sequnet_pl.evaluate.comparison import SETS, Comparison, Estimate, Result
from sequnet_pl.evaluate.features import SCALARS, mel_frequencies
from sequnet_pl.report.charts import COLOURS, GREY, Chart, chart, series
from sequnet_pl.report.clip import PageClip, view
from sequnet_pl.report.page import write_page

FORMAT = "sequnet_pl evaluation, version 1"
NUMBERS = "evaluation.json"
PAGE = "evaluation.html"
HEADINGS = ("", "generated", "real vs. real", "noise vs. real")


def check_output_dir(folder: Path) -> None:
    """Raise UserError if files of a folder that are not of an earlier evaluation would be overwritten."""
    if not any((folder / name).exists() for name in (NUMBERS, PAGE)):
        return
    try:
        ours = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise UserError(f"{NUMBERS} or {PAGE} in {folder} is not of an evaluation; choose a folder with --output_dir")


def dump(comparison: Comparison, made: Mapping[str, Any]) -> str:
    """The text of evaluation.json: `made`, how the evaluation was made, and all numbers; missing ones are null."""
    features = comparison.features
    keys = [scalar.key for scalar in SCALARS]
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
            name: dict(zip(keys, found.scalars.T.tolist(), strict=True)) for name, found in features.items()
        },
    }
    text = json.dumps({"format": FORMAT, **made, **numbers})
    plain = json.loads(text, parse_constant=lambda _: None)  # NaN
    return json.dumps(plain, indent=1) + "\n"


def _plain(result: Result) -> dict[str, Any]:
    values: dict[str, Any] = {"name": result.measure.name, "unit": result.unit}
    values["distance"] = {name: asdict(found) for name, found in result.distance.items()}
    return values | ({"mean": result.mean, "missing_clips": result.missing} if result.mean else {})


def verdict(comparison: Comparison) -> str:
    """One line on the generated clips by the first measure, with the bounds by real clips and by noise."""
    result = next(iter(comparison.results.values()))
    generated, real, noise = (result.distance[name] for name in SETS)
    if generated.value - real.value <= generated.error + real.error:
        where = "As close to the recordings as other recordings"
    elif generated.value >= noise.value:
        where = "Not closer to the recordings than noise"
    elif 2 * generated.value > real.value + noise.value:
        where = "Closer to noise than to the recordings"
    else:
        where = "Closer to the recordings than to noise"
    distance, *bounds = (f"{_estimate(one)} {result.unit}" for one in (generated, real, noise))
    return (
        f"{where}: {result.measure.name} {distance}; other recordings {bounds[0]}, noise {bounds[1]}; "
        f"{comparison.silent['generated']:.0%} of the generated clips are silent, {comparison.silent['real']:.0%} of "
        "the recordings"
    )


def distances(comparison: Comparison) -> list[list[str]]:
    """Rows under HEADINGS: measure, and distance with standard error of each of SETS."""
    return [
        [_with_unit(result.measure.name, result.unit), *(_estimate(result.distance[name]) for name in SETS)]
        for result in comparison.results.values()
    ]


def means(comparison: Comparison) -> list[list[str]]:
    """Rows of scalar features: name, and mean of each of SETS with the number of clips that lack the feature."""
    rows = []
    for scalar in SCALARS:
        result = comparison.results[scalar.key]
        cells = [
            _digits(result.mean[name]) + (f" ({missing} without)" if (missing := result.missing[name]) else "")
            for name in SETS
        ]
        rows.append([_with_unit(scalar.name, scalar.unit), *cells])
    return rows


def _with_unit(name: str, unit: str) -> str:
    return f"{name}, {unit}" if unit else name


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
    logarithmic = {name: np.where(share > 0, share, np.nan) for name, share in shares.items()}
    write_page(
        path,
        "evaluation.html",
        title,
        links,
        verdict=verdict(comparison),
        evaluation_facts=facts,
        command=command,
        headings=HEADINGS,
        distances=distances(comparison),
        measures=[result.measure for result in comparison.results.values()],
        means=means(comparison),
        spectra=_chart("long-term spectra, dB", "Hz", mel_frequencies(comparison.rate), spectra, log_x=True),
        histograms=_chart("histograms of codes, share", "code", np.arange(256.0), logarithmic, log_y=True),
        clips=[[view(clip) for clip in row] for row in clips],
    )


def _chart(
    title: str, xlabel: str, x: NDArray[np.float64], curves: Mapping[str, NDArray[np.float64]], **axes: bool
) -> Chart:
    """A line for each set, and a faint one for the reference: the two halves of the real clips differ as much."""
    drawn = [
        series("", (x, curves["reference"]), COLOURS[1], faint=True),
        series("noise", (x, curves["noise"]), GREY),
        series("real", (x, curves["real"]), COLOURS[1]),
        series("generated", (x, curves["generated"]), COLOURS[0]),
    ]
    return chart(title, xlabel, drawn, **axes)
