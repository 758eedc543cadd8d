"""Many runs on one page: `python -m sequnet_pl.report.compare RUN RUN...`, or a folder that holds them.

Their scores, their curves in one chart, the settings that differ, and the same prompts continued by each.
"""

import argparse
import colorsys
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
from sequnet_pl.report.page import duration, fixed, percent, relative_url, write_page
from sequnet_pl.report.run import page_clip
from sequnet_pl.report.run_folder import (
    REPORT,
    Metrics,
    is_run,
    read_config,
    read_facts,
    read_json,
    read_sampling,
    sampling_folders,
    thinned,
)
from sequnet_pl.report.scores import NETWORK

PAGE = "compare.html"

_FEW = 5  # runs up to which their training curves are drawn, too
_PROMPTS = 4  # more make the page large
_PATHS = {
    "name",
    "log_dir",
    "snapshot_dir",
    "data.data_dir",
    "best.dirpath",
    "last.dirpath",
    "trainer.default_root_dir",
}
_OWN_RECORDINGS = ("data.audio_dir", "data.audio_list", "data.recordings")


class ComparedRun:
    """A run: its files, its name among the others, its colour, and the address of its report, which may be empty."""

    def __init__(self, folder: Path, name: str, colour: str, page: Path) -> None:
        self.name, self.colour = name, colour
        self.url = relative_url(folder / REPORT, page) if (folder / REPORT).is_file() else ""
        self.metrics, self.facts, self.config = Metrics(folder), read_facts(folder), read_config(folder)
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
        if not path.is_dir():
            raise UsageError(f"there is no folder {path}; name run folders, or a folder that holds some")
        below = sorted(_below(path))
        if not below:
            raise UsageError(f"{path} is not a run folder, and holds none")
        found |= {run.resolve(): run for run in below}
    if len(found) < 2:
        raise UsageError(
            f"there is nothing to compare with {next(iter(found.values()))}; its own page is {REPORT} there"
        )
    return list(found.values())


def _below(folder: Path) -> Iterator[Path]:
    for path, folders, _ in os.walk(folder):
        if is_run(Path(path)):
            folders.clear()  # W&B's files in a run look like a run
            yield Path(path)


def write_comparison(
    path: Path,
    folders: Sequence[Path],
    title: str = "",
    table: tuple[Sequence[str], Sequence[Sequence[str]]] = ((), ()),
    remarks: Sequence[str] = (),
) -> None:
    """Write the page of two runs or more to `path`, the best validation first. Raises UserError if that fails.

    `table`: headings and rows of a table above all others, with `remarks` below it.
    """
    runs = _ranked(folders, path)
    shared = _same_prompts(runs)
    write_page(
        path,
        "compare.html",
        title or f"Comparison of {len(runs)} runs",
        runs=runs,
        table=table,
        remarks=remarks,
        incompatible=list(_incompatible(runs)),
        scores=_scores(runs),
        charts=list(_charts(runs)),
        settings=differing([run.config for run in runs]),
        prompts=[(source, [view(clip, path) for clip in clips]) for source, clips in shared[:_PROMPTS]],
        shared=len(shared),
    )


def _ranked(folders: Sequence[Path], page: Path) -> list[ComparedRun]:
    """The best validation first; a run is named by as much of its path as distinguishes it."""
    best = {folder: Metrics(folder).best("val/bits_per_sample") or (0, float("inf")) for folder in folders}
    names = Counter(folder.resolve().name for folder in folders)
    root = os.path.commonpath([folder.resolve().parent for folder in folders])
    runs = []
    for number, folder in enumerate(sorted(folders, key=lambda folder: best[folder][1])):
        path = folder.resolve()
        name = path.name if names[path.name] == 1 else Path(os.path.relpath(path, root)).as_posix()
        runs.append(ComparedRun(folder, name, _colour(number, len(folders)), page))
    return runs


def _colour(number: int, count: int) -> str:
    if count <= len(COLOURS):
        return COLOURS[number]
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(number / count, 0.5, 0.5))


def _incompatible(runs: Sequence[ComparedRun]) -> Iterator[str]:
    """What prevents comparing the scores."""
    for name, values in (
        ("sample rates", {run.facts.get("sample_rate") for run in runs}),
        ("data (by fingerprint)", {run.facts.get("data", {}).get("fingerprint") for run in runs}),
    ):
        if len(values - {None}) > 1:
            yield name


def _scores(runs: Sequence[ComparedRun]) -> dict[str, list[tuple[str, str]]]:
    """Columns of the table by name: a value of each run, and a remark that may be empty."""
    best = [run.metrics.best("val/bits_per_sample") for run in runs]
    tested = [run.test.get("bits_per_sample", {}).get(NETWORK) for run in runs]
    networks = [str(run.facts.get("network", "–")) for run in runs]
    plain = {
        "accuracy": [percent(run.test.get("accuracy")) for run in runs],
        "sound, dB": [f"{run.sound['value']:.1f} ± {run.sound['error']:.1f}" if run.sound else "–" for run in runs],
        "network": [registry.title(name) for name in networks],
        "parameters": [fixed(run.facts.get("parameters"), 0) for run in runs],
        "steps": [fixed(run.metrics.steps, 0) for run in runs],
        "audio": [duration(run.metrics.last("hours_heard")) for run in runs],
        "time": [duration(run.metrics.last("wall_hours")) for run in runs],
        "fingerprint": [run.facts.get("data", {}).get("fingerprint", "–") for run in runs],
    }
    return {
        "validation": [(fixed(one and one[1]), _at_step(one and one[0])) for one in best],
        "test": [(fixed(bits), _at_step(run.test.get("step"))) for bits, run in zip(tested, runs, strict=True)],
    } | {name: [(value, "") for value in values] for name, values in plain.items()}


def _at_step(step: int | None) -> str:
    return "" if step is None else f"step {step:,}"


def _charts(runs: Sequence[ComparedRun]) -> Iterator[tuple[str, Chart]]:
    """Validation of each run and, faint, the training of a few runs, over each axis of OVER."""
    baselines = [references(run.metrics) for run in runs]
    common = baselines[0] if all(one == baselines[0] for one in baselines) else {}
    for over, (word, xlabel) in OVER.items():
        drawn = []
        for run in runs:
            train, val = (thinned(run.metrics.curve(f"{split}/bits_per_sample", over)) for split in ("train", "val"))
            if train.shape[1] and (len(runs) <= _FEW or not val.shape[1]):
                name = "" if val.shape[1] else run.name
                drawn.append(series(name, train[0], train[1], run.colour, faint=True))
            if val.shape[1]:
                drawn.append(series(run.name, val[0], val[1], run.colour))
        if drawn:
            yield word, score_chart(drawn, xlabel, common, height=320)


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Settings that differ between configs, with the value in each; "–" for a missing one.

    Names and folders are left out, since they always differ, and `dataset` where own recordings replace it. A setting
    is named by its last word if that is unique.
    """
    flat = [dict(_flat(config)) for config in configs]
    for settings in flat:
        if any(name in settings for name in _OWN_RECORDINGS):
            settings.pop("data.dataset", None)
    paths = dict.fromkeys(path for settings in flat for path in settings if path not in _PATHS)
    values = {path: [settings.get(path, "–") for settings in flat] for path in paths}
    found = {path: each for path, each in values.items() if len(set(each)) > 1}
    words = Counter(_word(path) for path in found)
    return {_word(path) if words[_word(path)] == 1 else path: each for path, each in found.items()}


def _word(path: str) -> str:
    return path.rpartition(".")[2]


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and values; an object is named by its class, and its arguments are below that name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "class_path":
                yield path, _word(str(inner))
            else:
                yield from _flat(inner, path if key == "init_args" else f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for item in value:
            kind = str(item.get("class_path", "")) if isinstance(item, Mapping) else str(item)
            yield from _flat(item, f"{path}.{_word(kind)}".lstrip("."))
    elif value is not None:
        yield path, str(value)


def _same_prompts(runs: Sequence[ComparedRun]) -> list[tuple[str, list[PageClip]]]:
    """Prompts that two runs or more continued: the name of the source, the recording, and the clip of each run."""
    found: dict[str, dict[str, PageClip]] = {}  # by source and run; "" is the recording
    for run in runs:
        sampling = run.sampling
        for one in sampling.clips if sampling else ():
            if not sampling or not one.source:
                continue
            clip, clips = page_clip(run.clips, sampling, one), found.setdefault(one.source, {})
            if one.kind == "recording":  # the same for all runs, but not its likelihood
                clips.setdefault("", replace(clip, name="recording", bits_per_sample=None, details={}))
            else:
                clips.setdefault(run.name, replace(clip, name=run.name, details={"step": f"{sampling.step:,}"}))
    names = ["", *(run.name for run in runs)]
    shared = [(source, clips) for source, clips in found.items() if len(clips.keys() - {""}) > 1]
    return [(Path(source).name, [clips[name] for name in names if name in clips]) for source, clips in shared]


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m sequnet_pl.report.compare", description="Make one page of many runs."
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that hold some, as logs/sequnet")
    parser.add_argument("--out", type=Path, help=f"the page ({PAGE} in the folder that holds all of them)")
    options = parser.parse_args(argv)
    folders = find_runs(options.runs)
    named = {run.resolve() for run in folders}
    parents = [path.resolve().parent if path.resolve() in named else path.resolve() for path in options.runs]
    path = options.out or Path(os.path.commonpath(parents)) / PAGE
    write_comparison(path, folders)
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    from sequnet_pl.cli.main import exit_main

    exit_main("sequnet_pl.report.compare", main, sys.argv[1:])
