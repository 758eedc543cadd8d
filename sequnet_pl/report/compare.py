"""Many runs on one page: `python -m sequnet_pl.report.compare RUN RUN...`, or a folder that holds them.

Their scores, their curves in one chart, the settings that differ, and the same prompts continued by each.
"""

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sequnet_pl.errors import UsageError
from sequnet_pl.models import registry
from sequnet_pl.report.charts import COLOURS, OVER, Chart, references, score_chart, series
from sequnet_pl.report.clip import PageClip, view
from sequnet_pl.report.page import duration, fixed, percent, write_page
from sequnet_pl.report.run import page_clip
from sequnet_pl.report.run_folder import (
    REPORT,
    Metrics,
    is_run,
    read_config,
    read_json,
    read_sampling,
    read_summary,
    sampling_folders,
    thinned,
)
from sequnet_pl.report.scores import NETWORK

PAGE = "compare.html"

_FEW = 5  # runs up to which their training curves are drawn, too
_PROMPTS = 4  # more make the page large
_OWN_RECORDINGS = ("data.audio_dir", "data.audio_list", "data.recordings")
_PATHS = {
    "name",
    "log_dir",
    "snapshot_dir",
    "data.data_dir",
    "best.dirpath",
    "last.dirpath",
    "trainer.default_root_dir",
}


class ComparedRun:
    """A run: its files, its name among the others, and its colour."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.colour, self.report = name, "", folder / REPORT
        self.metrics, self.facts, self.config = Metrics(folder), read_summary(folder), read_config(folder)
        self.steps, self.bits = self.metrics.best("val/bits_per_sample") or (None, None)
        self.test = read_json(folder / "test.json")
        measures = read_json(folder / "evaluation" / "evaluation.json").get("measures", {})
        self.sound = measures.get("log_mel_frechet", {}).get("distance", {}).get("generated", {})
        found = ((each, read_sampling(each)) for each in reversed(sampling_folders(folder)))
        self.clips, self.sampling = next(((each, sampling) for each, sampling in found if sampling), (folder, None))
        """The newest clips that are complete, and their folder."""


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The run folders among these and below them. Raises UsageError if a path has none, or there are fewer than two."""
    found: dict[Path, Path] = {}
    for path in paths:
        below = []
        for folder, folders, _ in os.walk(path):
            if is_run(Path(folder)):
                folders.clear()  # W&B's files in a run look like a run
                below.append(Path(folder))
        if not below:
            raise UsageError(f"{path} is no run folder and holds none")
        found |= {run.resolve(): run for run in sorted(below)}
    if len(found) < 2:
        raise UsageError(f"there is nothing to compare with {next(iter(found.values()))}; its page is {REPORT} there")
    return list(found.values())


def write_comparison(path: Path, folders: Sequence[Path]) -> None:
    """Write the page of two runs or more to `path`, the best validation first. Raises UserError if that fails."""
    runs = _ranked(folders)
    write_page(
        path,
        "compare.html",
        f"Comparison of {len(runs)} runs",
        runs=runs,
        incompatible=list(_incompatible(runs)),
        scores=_scores(runs),
        charts=list(_charts(runs)),
        settings=differing([run.config for run in runs]),
        prompts=[(source, [[view(clip)] for clip in clips]) for source, clips in _same_prompts(runs)],
    )


def _ranked(folders: Sequence[Path]) -> list[ComparedRun]:
    """The best validation first; a run is named by its path below the folder that holds all."""
    root = os.path.commonpath([folder.resolve().parent for folder in folders])
    runs = [ComparedRun(folder, Path(os.path.relpath(folder.resolve(), root)).as_posix()) for folder in folders]
    runs.sort(key=lambda run: math.inf if run.bits is None else run.bits)
    for number, run in enumerate(runs):
        run.colour = COLOURS[number] if len(runs) <= len(COLOURS) else f"hsl({360 * number // len(runs)} 60% 50%)"
    return runs


def _incompatible(runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Differences that prevent comparing the scores."""
    if len({run.facts["sample_rate"] for run in runs if run.facts}) > 1:
        yield "sample rates"
    if len({run.facts["data"]["fingerprint"] for run in runs if run.facts}) > 1:
        yield "data (by fingerprint)"


def _scores(runs: Sequence[ComparedRun]) -> dict[str, list[str]]:
    """Columns of the table by name: a value of each run."""
    return {
        "validation": [_at_step(run.steps, run.bits) for run in runs],
        "test": [_at_step(run.test.get("step"), run.test.get("bits_per_sample", {}).get(NETWORK)) for run in runs],
        "accuracy": [percent(run.test.get("accuracy")) for run in runs],
        "sound, dB": [f"{run.sound['value']:.1f} ± {run.sound['error']:.1f}" if run.sound else "–" for run in runs],
        "network": [registry.title(run.facts.get("network", "–")) for run in runs],
        "parameters": [fixed(run.facts.get("parameters"), 0) for run in runs],
        "steps": [fixed(run.metrics.steps, 0) for run in runs],
        "audio": [duration(run.metrics.last("hours_heard")) for run in runs],
        "time": [duration(run.metrics.last("wall_hours")) for run in runs],
        "fingerprint": [run.facts.get("data", {}).get("fingerprint", "–") for run in runs],
    }


def _at_step(step: int | None, bits: float | None) -> str:
    return fixed(bits) if step is None else f"{fixed(bits)}\nstep {step:,}"


def _charts(runs: Sequence[ComparedRun]) -> Iterator[tuple[str, Chart]]:
    """Validation of each run and, faint, the training of a few, over each axis of OVER, with equal baselines."""
    baselines = [references(run.metrics) for run in runs]
    common = baselines[0] if all(one == baselines[0] for one in baselines) else {}
    for over, (word, xlabel) in OVER.items():
        drawn = []
        for run in runs:
            train, val = (thinned(run.metrics.curve(f"{split}/bits_per_sample", over)) for split in ("train", "val"))
            if train.shape[1] and (len(runs) <= _FEW or not val.shape[1]):
                name = "" if val.shape[1] else run.name
                drawn.append(series(name, train, run.colour, faint=True))
            if val.shape[1]:
                drawn.append(series(run.name, val, run.colour))
        if drawn:
            yield word, score_chart(drawn, xlabel, common)


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Settings that differ between configs, with the value in each; "–" for a missing one.

    Names and folders are left out, since they always differ, and `dataset` where own recordings replace it. A setting
    is named by its last word if that is unique.
    """
    flat = [dict(_flat(config)) for config in configs]
    for settings in flat:
        if any(name in settings for name in _OWN_RECORDINGS):
            settings.pop("data.dataset", None)
    names = dict.fromkeys(name for settings in flat for name in settings if name not in _PATHS)
    values = {name: [settings.get(name, "–") for settings in flat] for name in names}
    found = {name: each for name, each in values.items() if len(set(each)) > 1}
    words = Counter(name.rpartition(".")[2] for name in found)
    return {word if words[word := name.rpartition(".")[2]] == 1 else name: each for name, each in found.items()}


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and values of nested settings; a list is one value, and an object has the name of its class."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "class_path":
                yield path, str(inner).rpartition(".")[2]
            else:
                yield from _flat(inner, path if key == "init_args" else f"{path}.{key}".lstrip("."))
    elif value is not None:
        yield path, str(value)


def _same_prompts(runs: Sequence[ComparedRun]) -> list[tuple[str, list[PageClip]]]:
    """Prompts that two runs or more continued: the name of the source, the recording, and the clip of each run."""
    recordings: dict[str, PageClip] = {}
    found: dict[str, list[PageClip]] = {}
    for run in runs:
        for one in run.sampling.clips if run.sampling else ():
            assert run.sampling
            clip = page_clip(run.clips, run.sampling, one)
            if one.kind == "recording":  # the same for all runs, but not its likelihood
                recordings[one.source] = replace(clip, name="recording", bits_per_sample=None, details={})
            elif one.source:
                named = replace(clip, name=run.name, details={"step": f"{run.sampling.step:,}"})
                found.setdefault(one.source, []).append(named)
    shared = [source for source, clips in found.items() if len(clips) > 1][:_PROMPTS]
    real = {source: [clip] for source, clip in recordings.items()}
    return [(Path(source).name, real.get(source, []) + found[source]) for source in shared]


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser("python -m sequnet_pl.report.compare", description="Make a page of several runs.")
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders with some, such as logs/sequnet")
    parser.add_argument("--out", type=Path, help=f"the page ({PAGE} in the folder that contains all of them)")
    options = parser.parse_args(argv)
    folders = find_runs(options.runs)
    parents = [path.resolve().parent if is_run(path) else path.resolve() for path in options.runs]
    path = options.out or Path(os.path.commonpath(parents)) / PAGE
    write_comparison(path, folders)
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    from sequnet_pl.cli.main import exit_main

    exit_main("sequnet_pl.report.compare", main, sys.argv[1:])
