"""The page of a test: its scores as facts, charts and tables, and the charts as pictures beside it."""

from pathlib import Path

from markupsafe import Markup

from sequnet_pl.report import page
from sequnet_pl.report.drawing import draw
from sequnet_pl.report.figures import save
from sequnet_pl.report.run_folder import run_pages, run_title
from sequnet_pl.report.score_charts import FEW, calibration_chart, distance_chart, recordings_chart
from sequnet_pl.report.scores import NETWORK, TABLE, Scores, bits, percent

_SHOWN = 50  # recordings from either end

_REFERENCES = (
    "Lower is better. The tables know how often each code follows the one or two before it in the training recordings "
    "(at most {:,} codes of them); what a network is better by, it has learnt from a longer past."
)
_DISTANCE = (
    "What context is worth: a network that uses its past is the better, the more of it there is, until its receptive "
    "field is full. Beginnings are often quiet, which makes them easy for the table too: look at the gap between them."
)
_RECORDINGS = (
    "Where network and table are both bad, the recording is hard (noise, for one); where only the network is, the "
    "recording is unlike those that it learnt from."
)
_CALIBRATION = (
    "Below the thin line the network is surer than it should be, above it less sure. The calibration error is the "
    f"mean distance from that line over all samples. Where there are fewer than {FEW}, a dot says little, and is pale."
)


def write_score_page(path: Path, scores: Scores) -> None:
    """Write the page to `path`, and its charts beside it: `<stem>-distance.png`, `-recordings.png`, `-calibration.png`.

    Raises UserError where a file cannot be written.
    """
    parts = [
        page.facts(_facts(scores)),
        page.table(("", "bits per sample"), [(name, bits(value)) for name, value in scores.bits_per_sample.items()]),
        page.note(_REFERENCES.format(scores.table_samples)),
    ]
    sections = {
        "distance": ("Distance from the start of the recording", distance_chart(scores), _DISTANCE, _distances),
        "recordings": ("Recordings", recordings_chart(scores), _RECORDINGS, _recordings),
        "calibration": ("Calibration", calibration_chart(scores), _CALIBRATION, _confidences),
    }
    for name, (title, chart, meaning, table) in sections.items():
        save(path.with_name(f"{path.stem}-{name}.png"), chart)
        parts += [page.heading(title), draw(chart), page.note(meaning), page.more("In numbers", [table(scores)])]
    page.write_page(path, run_title(path.parent, "test"), parts, run_pages(path.parent))


def _facts(scores: Scores) -> list[tuple[str, object]]:
    rate = scores.sample_rate
    return [
        ("bits per sample", bits(scores.bits_per_sample[NETWORK])),
        ("accuracy", percent(scores.accuracy)),
        ("calibration error", percent(scores.expected_calibration_error)),
        ("checkpoint", scores.checkpoint or "–"),
        ("learnt for", "–" if scores.step is None else f"{scores.step:,} steps"),
        ("receptive field", f"{scores.receptive_field:,} samples, {scores.receptive_field / rate:.3g} s"),
        ("recordings", f"{len(scores.recordings):,}, {scores.samples / rate / 3600:.3f} hours at {rate} Hz"),
        ("codes", f"{scores.store}, {scores.fingerprint}"),
    ]


def _distances(scores: Scores) -> Markup:
    header = ("samples from the start", "seconds", "predicted", NETWORK, TABLE)
    rows = []
    for one in scores.distances:
        end = "on" if one.end is None else f"to {one.end:,}"
        values = (f"{one.samples:,}", bits(one.bits_per_sample), bits(one.table_bits_per_sample))
        rows.append((f"{one.start:,} {end}", f"{one.start / scores.sample_rate:.3f}", *values))
    return page.table(header, rows)


def _recordings(scores: Scores) -> Markup:
    worst, best = scores.ends(_SHOWN)
    rows = [
        (
            page.file_name(one.name),
            f"{one.samples / scores.sample_rate:.2f}",
            bits(one.bits_per_sample),
            bits(one.table_bits_per_sample),
        )
        for one in worst + best
    ]
    caption = f"The worst {len(worst)} and the best {len(best)}; test.json has all." if best else "The worst first."
    return page.table(("recording", "seconds", NETWORK, TABLE), rows, caption)


def _confidences(scores: Scores) -> Markup:
    header = ("confidence", "samples", "mean confidence", "accuracy")
    rows = [
        (f"{one.start:.0%} to {one.end:.0%}", f"{one.samples:,}", percent(one.confidence), percent(one.accuracy))
        for one in scores.calibration
        if one.samples
    ]
    return page.table(header, rows)
