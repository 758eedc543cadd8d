"""The report of a run, made from the files in its folder: `python -m sequnet_pl.report.run FOLDER`."""

import argparse
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from sequnet_pl.errors import UsageError
from sequnet_pl.report.card import receptive_field
from sequnet_pl.report.charts import codes_chart, measure_charts, score_charts
from sequnet_pl.report.clip import PageClip, view
from sequnet_pl.report.page import duration, write_page
from sequnet_pl.report.run_folder import (
    CONFIG,
    FILE,
    REPORT,
    WARNINGS,
    ClipInfo,
    ClipSet,
    Metrics,
    add_page,
    is_run,
    read_sampling,
    read_summary,
    read_text,
    run_pages,
    run_title,
    sampling_folders,
)

log = logging.getLogger(__name__)

_LINKED = 40  # earlier steps with clips, evenly spread


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run folder and return its path.

    Raises UsageError if the folder is not one of a run, UserError if the page cannot be written.
    """
    if not is_run(folder):
        raise UsageError(f"{folder} is not a run folder: it has neither {FILE} nor {CONFIG}")
    path, metrics, facts = folder / REPORT, Metrics(folder), read_summary(folder)
    write_page(
        path,
        "run.html",
        run_title(folder, "report"),
        run_pages(folder),
        written=f"{datetime.now():%Y-%m-%d %H:%M}",
        training=facts.get("training"),
        steps=metrics.steps,
        run_facts=dict(_facts(facts, metrics)),
        warnings=read_text(folder / WARNINGS).splitlines(),
        scores=list(score_charts(metrics)),
        measures=list(measure_charts(metrics)),
        last_command=(facts.get("commands") or [""])[-1],
        config=read_text(folder / CONFIG),
        **_sampled(folder),
    )
    return path


def link_page(folder: Path, name: str, path: Path) -> None:
    """Link another page from a run's report, which is written again; a failure is only a warning."""
    try:
        add_page(folder, name, path)
        write_report(folder)
    except Exception as error:  # the command itself has succeeded
        log.warning("the report in %s does not link %s: %s", folder, path, error or type(error).__name__)


def _facts(facts: dict[str, Any], metrics: Metrics) -> Iterator[tuple[str, object]]:
    if best := metrics.best("val/bits_per_sample"):
        yield "best validation", f"{best[1]:.3f} bits per sample, step {best[0]:,}"
    if (train := metrics.last("train/bits_per_sample")) is not None:
        yield "newest batch", f"{train:.3f} bits per sample"
    for name, label in (("hours_heard", "audio"), ("wall_hours", "time")):
        if (hours := metrics.last(name)) is not None:
            yield label, duration(hours)
    if (speed := metrics.last("speed/samples_per_second")) is not None:
        yield "speed", f"{speed:,.0f} samples a second"
    if facts:
        yield "network", f"{facts['network']}, {facts['parameters']:,} parameters"
        if begun := facts.get("begun_from"):
            yield "initialised from", f"{begun['path']}, step {begun['step']:,}"
        yield "receptive field", receptive_field(facts)
        for name, split in facts["data"]["splits"].items():
            yield name, f"{duration(split['hours'])}, recordings: {split['recordings']:,}"
        yield "data fingerprint", facts["data"]["fingerprint"]
        yield "commit", facts["commit"] or "–"


def page_clip(folder: Path, sampling: ClipSet, one: ClipInfo) -> PageClip:
    """A clip of a training step, for pages."""
    return PageClip(
        name=one.name,
        wav=folder / f"{one.name}.wav",
        prompt_end=one.prompt_end,
        bits_per_sample=one.bits_per_sample,
        temperature=one.temperature,
        seed=sampling.seed,
        after="recording" if one.kind == "recording" else "generated",
        details={"from": Path(one.source).name} if one.source else {},
    )


def _sampled(folder: Path) -> dict[str, Any]:
    """The newest clips in full, earlier ones as links."""
    *earlier, newest = sampling_folders(folder) or [None]
    if not newest or not (sampling := read_sampling(newest)):
        return {"sampling": None}
    linked = np.unique(np.linspace(0, len(earlier) - 1, _LINKED).round().astype(int)) if earlier else []
    prompted: dict[str, list[dict[str, Any]]] = {}  # continuation-0 beside recording-0
    from_silence = []
    for one in sampling.clips:
        shown = view(page_clip(newest, sampling, one))
        if one.prompt_end:
            prompted.setdefault(one.name.rpartition("-")[2], []).append(shown)
        else:
            from_silence.append([shown])
    return {
        "sampling": sampling,
        "prompted": list(prompted.values()),
        "from_silence": from_silence,
        "codes": codes_chart(sampling.real_codes, sampling.generated_codes),
        "earlier_count": len(earlier),
        "earlier": [(earlier[index], old) for index in linked if (old := read_sampling(earlier[index]))],
    }


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m sequnet_pl.report.run", description="Write the report of a run.")
    parser.add_argument("folder", type=Path, help="the run folder, such as logs/sequnet/NAME")
    sys.stdout.write(f"{write_report(parser.parse_args(argv).folder)}\n")
    return 0


if __name__ == "__main__":
    from sequnet_pl.cli.main import exit_main

    exit_main("sequnet_pl.report.run", main, sys.argv[1:])
