"""Charts as parts of a page: a drawing that fills any width, with text that keeps its size and lies over no curve.

Without a script all is there; with it, the legend shows the values under the pointer.
"""

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sequnet_pl.report.chart import DASHES, QUIET, Chart, Curve, Look, short

_SIZE = 1000  # of the drawing, in its own units; it is stretched to its place

Scale = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Values to shares of an axis, 0 to 1."""


def draw(chart: Chart, caption: str = "") -> Markup:
    """A chart with its legend above and its axes beside; `caption` stands below."""
    across, upwards = _scale(chart.across, chart.log_x), _scale(chart.upwards, chart.log_y)
    columns = [(float(across(np.array(at))), text) for at, text in chart.x_ticks]
    lines = [(float(upwards(np.array(at))), text) for at, text in chart.y_ticks]
    named = chart.title not in [curve.name for curve in chart.curves]  # else the legend says it
    return Markup("""<figure class="chart{rows}" style="--height:{height:g}rem">
{name}<p class="legend">{legend}</p>
<p class="unit">{ylabel}</p>
<div class="plot" data-x="{low:.6g} {high:.6g}"{log}>
<svg viewBox="0 0 {size} {size}" preserveAspectRatio="none" role="img" aria-label="{title}">{drawing}</svg>
<div class="up">{up}</div>
<i class="at"></i>
</div>
<div class="across">{across}</div>
<p class="unit end"><output></output> {xlabel}</p>{caption}
</figure>""").format(
        rows=" rows" if chart.rows else "",
        height=chart.size,
        title=chart.title,
        name=Markup('<p class="name">{}</p>\n').format(chart.title) if named else "",
        legend=Markup("\n").join(_legend(chart)),
        ylabel=chart.ylabel,
        low=chart.across[0],
        high=chart.across[1],
        log=Markup(" data-log") if chart.log_x else "",
        size=_SIZE,
        drawing=Markup().join(_drawing(chart, across, upwards, columns, lines)),
        up=_marks("bottom", lines),
        across=_marks("left", columns),
        xlabel=chart.xlabel,
        caption=Markup("<figcaption>{}</figcaption>").format(caption) if caption else "",
    )


def switched(name: str, charts: Sequence[tuple[str, Chart]]) -> Markup:
    """Charts of one thing, one of them seen at a time: a switch has a word for each. `name` is the page's only such."""
    if len(charts) == 1:
        return draw(charts[0][1])
    parts = [
        Markup('<input type="radio" name="{0}" id="{0}-{1}"{2}><label for="{0}-{1}">{3}</label>').format(
            name, number, Markup(" checked") if not number else "", word
        )
        for number, (word, _) in enumerate(charts)
    ]
    return Markup('<div class="switch">{}\n{}</div>').format(
        Markup().join(parts), Markup("\n").join(draw(chart) for _, chart in charts)
    )


def _scale(ends: tuple[float, float], log: bool) -> Scale:
    low, high = ends
    if log:
        return lambda values: np.log(np.where(values > 0, values, low / 10) / low) / np.log(high / low)
    return lambda values: (values - low) / (high - low)


def _drawing(
    chart: Chart,
    across: Scale,
    upwards: Scale,
    columns: Sequence[tuple[float, str]],
    lines: Sequence[tuple[float, str]],
) -> Iterator[Markup]:
    """Grid, heights and places below the curves."""
    grid = "".join(f"M{_SIZE * at:.1f} 0v{_SIZE}" for at, _ in columns)
    grid += "" if chart.rows else "".join(f"M0 {_SIZE * (1 - at):.1f}h{_SIZE}" for at, _ in lines)
    yield Markup('<path class="grid" d="{}"/>').format(grid)
    for number, height in enumerate(chart.heights.values()):
        at = _SIZE * (1 - float(upwards(np.array(height))))
        yield _path(f"M0 {at:.1f}h{_SIZE}", QUIET, 1.2, dash=_dash(number))
    for place, colour in chart.places.values():
        yield _path(f"M{_SIZE * float(across(np.array(place))):.1f} 0v{_SIZE}", colour, 1.5, dash="2 3")
    for curve in chart.curves:
        # far outside is as good as anywhere outside, and keeps the numbers short
        x, y = (_SIZE * np.clip(shares, -1, 2) for shares in (across(curve.points[0]), 1 - upwards(curve.points[1])))
        yield from _curve(curve, x, y)


def _curve(curve: Curve, x: NDArray[np.float64], y: NDArray[np.float64]) -> Iterator[Markup]:
    there = np.isfinite(x) & np.isfinite(y)
    opacity = 0.4 if curve.fades else 1.0
    if curve.look is Look.AREA:
        tops = "".join(f"V{b:.1f}H{c:.1f}" for b, c in zip(np.where(there, y, _SIZE)[:-1], x[1:], strict=True))
        if tops:
            yield _path(f"M{x[0]:.1f} {_SIZE}{tops}V{_SIZE}z", curve.colour, 0, 0.35, fill=curve.colour)
    elif curve.look is not Look.DOTS:
        parts, pen = [], False
        for a, b, known in zip(x, y, there, strict=True):
            if curve.look is Look.STEPS and pen:
                parts.append(f"H{a:.1f}")  # where the next height is unknown, the last one ends
            if known:
                joint = "M{:.1f} {:.1f}" if not pen else "V{1:.1f}" if curve.look is Look.STEPS else "L{:.1f} {:.1f}"
                parts.append(joint.format(a, b))
            pen = bool(known)
        yield _path("".join(parts), curve.colour, curve.width, opacity)
    if curve.look is Look.DOTS or curve.marked:
        # lines of no length with round ends: circles would be stretched
        dots = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x[there], y[there], strict=True))
        yield _path(dots, curve.colour, curve.width + (0 if curve.look is Look.DOTS else 3), opacity, ends="round")


def _path(
    d: str, colour: str, width: float, opacity: float = 1.0, *, fill: str = "none", dash: str = "", ends: str = "butt"
) -> Markup:
    dashes = Markup(' stroke-dasharray="{}"').format(dash) if dash else ""
    return Markup(
        '<path d="{}" fill="{}" stroke="{}" stroke-width="{:g}" stroke-linecap="{}" opacity="{:g}"{}/>'
    ).format(d, fill, colour, width, ends, opacity, dashes)


def _dash(number: int) -> str:
    return " ".join(map(str, DASHES[number % len(DASHES)]))


def _legend(chart: Chart) -> Iterator[Markup]:
    """What each line is; that of a curve carries its points for the script, that of a height has its number."""
    for curve in chart.curves:
        if not curve.name:
            continue
        if curve.look is Look.AREA:
            key = _path("M0 1h24v8h-24z", curve.colour, 0, 0.35, fill=curve.colour)
        else:
            key = Markup().join(_curve(curve, np.array([4.0, 20.0]), np.array([5.0, 5.0])))
        data = Markup(' data-points="{}"').format(_points(curve)) if not chart.rows else ""
        steps = Markup(" data-steps") if curve.look in (Look.STEPS, Look.AREA) else ""
        yield _entry(key, curve.name, "", data + steps)
    for number, (name, height) in enumerate(chart.heights.items()):
        yield _entry(_path("M0 5h24", QUIET, 1.2, dash=_dash(number)), name, short(height))
    for name, (_, colour) in chart.places.items():
        yield _entry(_path("M12 0v10", colour, 1.5, dash="2 3"), name, "")


def _entry(key: Markup, name: str, value: str, data: str = "") -> Markup:
    return Markup('<span{}><svg viewBox="0 0 24 10" aria-hidden="true">{}</svg>{} <output>{}</output></span>').format(
        data, key, name, value
    )


def _points(curve: Curve) -> str:
    """Places and heights as JSON; unknown heights are left out, of steps they are null."""
    points = curve.points
    if curve.look not in (Look.STEPS, Look.AREA):
        points = points[:, np.isfinite(points).all(axis=0)]
    rounded = [[float(f"{value:.6g}") if np.isfinite(value) else None for value in row] for row in points]
    return json.dumps(rounded, separators=(",", ":"))


def _marks(side: str, ticks: Sequence[tuple[float, str]]) -> Markup:
    return Markup().join(
        Markup('<span style="{}:{:.2f}%">{}</span>').format(side, 100 * at, text) for at, text in ticks
    )
