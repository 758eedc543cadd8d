"""`python -m sequnet_pl.evaluate`: generated clips against held-out recordings, to a table, numbers and a page.

N clips, T samples.
"""

import hashlib
import logging
import os
import shlex
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from sequnet_pl import atomic
from sequnet_pl.audio import files, mulaw
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.cli.evaluate_options import CLIPS, OUT, Options, parse
from sequnet_pl.data.sources import folders_of
from sequnet_pl.data.splits import split_folders
from sequnet_pl.data.store import Options as StoreOptions
from sequnet_pl.data.store import Split, make_store, open_split
from sequnet_pl.errors import UserError
from sequnet_pl.evaluate import clips, results
from sequnet_pl.evaluate.clips import Stretch
from sequnet_pl.evaluate.comparison import Comparison, check_length, compare
from sequnet_pl.report.clip import PageClip
from sequnet_pl.report.run import link_page
from sequnet_pl.report.run_folder import run_pages, run_title
from sequnet_pl.report.scores import text_table
from sequnet_pl.sampling import prompts
from sequnet_pl.sampling.clip_folder import ROOT, ClipFolder, new_folder
from sequnet_pl.sampling.engines import engine_for
from sequnet_pl.sampling.load import base_metadata, device_for, find_checkpoint, open_network, open_recordings
from sequnet_pl.sampling.progress import SampleProgress
from sequnet_pl.training.checkpoints import run_of_checkpoint
from sequnet_pl.training.trained import Trained

log = logging.getLogger(__name__)

_SHOWN = 4  # clips of each kind on the page; more make it large


@dataclass(frozen=True, eq=False)
class _Sound:
    """The clips that are compared, and their descriptions."""

    generated: NDArray[np.float32]  # (N, T)
    real: NDArray[np.float32]  # (2N, T); every other one is the real continuation of the prompt of a generated clip
    names: list[str]  # of the generated clips
    stretches: list[Stretch]  # the real clips
    made: dict[str, Any]  # settings of the generated clips, for evaluation.json
    facts: dict[str, object]  # the same for the page


def evaluate(argv: list[str]) -> None:
    """Run the command. Raises UsageError and UserError."""
    torch.set_flush_denormal(True)  # before any parallel operation, since threads inherit it
    options = parse(argv)
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    trained = None
    if options.needs_checkpoint:
        device = torch.device("cpu") if options.clips_dir else device_for(options.device)
        torch.set_num_threads(options.threads or torch.get_num_threads())
        trained = open_network(find_checkpoint(options), options, device, "float64" if options.double else "float32")
    rate = trained.sample_rate if trained else options.sample_rate or SAMPLE_RATE
    samples = round(options.seconds * rate)
    check_length(samples, rate)
    run = None
    if trained and not options.clips_dir:  # clips that exist already may be of any model
        found = run_of_checkpoint(trained.path, Path(options.log_dir))
        run = found and found.folder
    parent = Path(options.clips_dir) if options.clips_dir else run
    folder = Path(options.output_dir) if options.output_dir else parent and parent / OUT
    if folder:
        results.check_output_dir(folder)
    split = held_out(options.audio_dir, trained, rate)
    stretches = [] if options.clips_dir else clips.choose(split, samples, options.clips or CLIPS, rate)
    in_root = folder is None
    folder = folder or new_folder(f"{options.pretrained or (trained.name if trained else 'clips')}-{OUT}")
    if options.clips_dir:
        sound = _existing(options, Path(options.clips_dir), split, samples, rate)
    else:
        assert trained
        atomic.make_folder(folder)  # now, since the clips may take hours
        sound = _generated(options, trained, split, stretches, samples)
    log.info("measuring %d clips of each kind", len(sound.generated))
    comparison = compare(sound.generated, sound.real, rate, seed=options.seed, resamples=options.resamples)
    _write(folder, run, argv, options, sound, comparison)
    if in_root:
        ClipFolder(ROOT).write_page()
    Console().print(text_table(results.HEADINGS, results.distances(comparison)))
    Console().print(results.verdict(comparison), highlight=False)
    log.info("numbers: %s\ncharts and clips: %s", folder / results.NUMBERS, folder / results.PAGE)


def held_out(audio_dir: str | None, trained: Trained | None, rate: int) -> Split:
    """The test split of the recordings, else val with a warning; never training recordings.

    A folder other than that of the training is held out as a whole if it has no train/, val/ or test/.
    Raises UserError if nothing is held out.
    """
    trained_on = folders_of(trained.data.get("audio_dir")) if trained else []
    if audio_dir and os.path.realpath(audio_dir) not in [os.path.realpath(folder) for folder in trained_on]:
        return _held_out_folder(Path(audio_dir), trained, rate)
    assert trained
    several = len(trained_on) > 1  # of which one is split as it was there
    data = open_recordings(audio_dir if several else None, trained)
    for name in ("test", "val"):
        if len((split := data.splits[name]).lengths):
            if name == "val":
                log.warning("there are no test recordings; those of val are taken, which chose the best checkpoint")
            return split
    raise UserError(f"no recordings in {data.folder} are held out; name a folder of others with --audio_dir")


def _held_out_folder(folder: Path, trained: Trained | None, rate: int) -> Split:
    """The held-out recordings of a folder as codes, converted as those of the training were."""
    if folders := split_folders(folder):
        held = [[path for each in folders[split] for path in files.find(each)] for split in ("test", "val")]
        found = held[0] or held[1]
    else:
        found = files.find(folder)
        log.info("%s: all files count as held out: %d", folder, len(found))
    if not found:
        raise UserError(f"the folder {folder} has no recordings to compare with")
    settings = trained.data if trained else {}
    options = StoreOptions(rate, settings.get("channel", "mix"), settings.get("loudness"), settings.get("skip_silence"))
    identity = f"held out {folder.resolve()} {options.key()}"
    name = f"{folder.resolve().name}-{hashlib.sha256(identity.encode(errors='surrogateescape')).hexdigest()[:8]}"
    store = Path(settings.get("data_dir", "data")) / "codes" / name
    make_store({"test": found}, store, **asdict(options))
    return open_split(store, "test")


def _existing(options: Options, folder: Path, split: Split, samples: int, rate: int) -> _Sound:
    """Clips of a folder, and as long real ones, twice as many."""
    found, paths = clips.read_folder(folder, rate, samples, options.clips)
    stretches = clips.choose(split, samples, len(found), rate)
    kept = clips.evenly(len(found), len(stretches) // 2)
    return _Sound(
        mulaw.decode(found[kept]),
        mulaw.decode(clips.read(split, stretches, samples)),
        [paths[i].name for i in kept],
        stretches,
        {"files": [str(paths[i]) for i in kept]},
        {"generated clips": folder},
    )


def _generated(options: Options, trained: Trained, split: Split, stretches: list[Stretch], samples: int) -> _Sound:
    """Generated and real clips; a continuation has the samples before every other real clip as its prompt."""
    rate, network = trained.sample_rate, trained.network
    engine = engine_for(network, options.engine, options.weights, options.batch_size)
    if options.conditional:
        starts = [clips.prompt(split, one, network.context(rate)) for one in stretches[1::2]]
        names = [f"after {Path(one.file).name}, {one.second:.2f} s" for one in stretches[1::2]]
    else:
        starts = [prompts.SILENCE] * (len(stretches) // 2)
        names = ["from silence"] * len(starts)
    kind = "continuation" if options.conditional else "silence"
    base = replace(base_metadata(options, trained, engine, kind), temperature=options.temp)
    with SampleProgress(len(starts) * samples, rate, live=False) as progress:
        progress.begin(f"generating {len(starts)} clips")
        codes = clips.generate(network, engine, starts, base, samples, options.batch_size, progress.add_block)
    log.info("%.1f s of sound in %.1f s: %s", progress.drawn / rate, progress.seconds, progress.speed)
    facts = {"checkpoint": trained.path, "network": trained.name, "step": trained.step, "weights": trained.digest}
    facts |= {"from": kind, "temperature": f"{options.temp:g}"}
    real = clips.read(split, stretches, samples)
    return _Sound(mulaw.decode(codes), mulaw.decode(real), names, stretches, asdict(base), facts)


def _write(
    folder: Path, run: Path | None, argv: list[str], options: Options, sound: _Sound, comparison: Comparison
) -> None:
    """Write evaluation.json and evaluation.html, which the pages of the run link."""
    command = shlex.join(["python", "-m", "sequnet_pl.evaluate", *argv])
    made = {
        "command": command,
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "settings": asdict(options),
        "generated": sound.made,
        "recordings": [{"file": one.file, "start": one.second} for one in sound.stretches],
    }
    atomic.write_text(folder / results.NUMBERS, results.dump(comparison, made))
    rate = comparison.rate
    facts = sound.facts | {"clips": f"{comparison.clips} of {comparison.samples / rate:g} s", "rate": f"{rate} Hz"}
    pairs = []
    for i in clips.evenly(comparison.clips, _SHOWN):
        one = sound.stretches[2 * i + 1]
        name = f"real, {Path(one.file).name}, {one.second:.2f} s"
        generated = PageClip(name=f"generated, {sound.names[i]}", samples=sound.generated[i], rate=rate)
        pairs.append([generated, PageClip(name=name, samples=sound.real[2 * i + 1], rate=rate)])
    path, what = folder / results.PAGE, "generated clips against recordings"
    title, links = (run_title(run, what), run_pages(run)) if run else (what.capitalize(), [])
    results.write_evaluation_page(path, title, comparison, facts, command, pairs, links)
    if run:
        link_page(run, f"evaluation in {folder.resolve().name}" if options.output_dir else "evaluation", path)
