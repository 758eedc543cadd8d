"""`python -m sequnet_pl.evaluate`: generated clips against held-out recordings, to a table, numbers and a page.

N clips, T samples.
"""

import logging
import shlex
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table

from sequnet_pl import atomic
from sequnet_pl.audio import mulaw
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.cli.evaluate_options import CLIPS, OUT, Options, parse
from sequnet_pl.data.store import Split
from sequnet_pl.evaluate import clips, results
from sequnet_pl.evaluate.comparison import SETS, Comparison, check_length, compare
from sequnet_pl.evaluate.held_out import held_out
from sequnet_pl.evaluate.page import write_evaluation_page
from sequnet_pl.report.clip import PageClip
from sequnet_pl.report.run import link_page
from sequnet_pl.report.run_folder import run_pages, run_title
from sequnet_pl.sampling import prompts
from sequnet_pl.sampling.engines import engine_for
from sequnet_pl.sampling.load import device_for, find_checkpoint, open_network
from sequnet_pl.sampling.progress import SampleProgress
from sequnet_pl.sampling.recipe import Recipe
from sequnet_pl.training.checkpoints import run_of_checkpoint
from sequnet_pl.training.trained import Trained

log = logging.getLogger(__name__)

_HEARD = 4  # clips of each kind to listen to; more make the page large


@dataclass(frozen=True, eq=False)
class _Sound:
    """What is compared, and what can be said of it."""

    generated: NDArray[np.float32]  # (N, T)
    real: NDArray[np.float32]  # (2N, T); where clips go on from recordings, every other one is what really follows
    origins: list[str]  # of the generated clips
    places: list[tuple[str, float]]  # files of the real clips, and seconds into them
    made: dict[str, Any]  # how the generated clips were, for evaluation.json
    facts: list[tuple[str, object]]  # the same for people


def evaluate(argv: list[str]) -> None:
    """The whole command; what is not the user's to mend is raised."""
    torch.set_flush_denormal(True)  # before any parallel operation, since threads inherit it
    options = parse(argv)
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    trained = _trained(options) if options.needs_checkpoint else None
    rate = trained.sample_rate if trained else options.sample_rate or SAMPLE_RATE
    samples = round(options.seconds * rate)
    check_length(samples, rate)
    run = _run(options, trained)
    folder = _folder(options, run)
    results.check_output_dir(folder)
    split = held_out(options.audio_dir, trained, rate)
    if options.clips_dir:
        sound = _existing(options, Path(options.clips_dir), split, samples, rate)
    else:
        assert trained
        atomic.make_folder(folder)  # now, since the clips may take hours
        sound = _generated(options, trained, split, samples)
    log.info("measuring %d clips of each kind", len(sound.generated))
    comparison = compare(sound.generated, sound.real, rate, seed=options.seed, resamples=options.resamples)
    _write(folder, run, argv, options, sound, comparison)
    _print(comparison)
    log.info("numbers: %s\ncharts and clips: %s", folder / results.NUMBERS, folder / results.PAGE)


def _trained(options: Options) -> Trained:
    device = torch.device("cpu") if options.clips_dir else device_for(options.device)
    path = find_checkpoint(options)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    return open_network(path, options, device, "float64" if options.double else "float32")


def _run(options: Options, trained: Trained | None) -> Path | None:
    """The folder of the run that the generated clips are of; clips that exist already may be of any model."""
    if options.clips_dir or not trained:
        return None
    run = run_of_checkpoint(trained.path, Path(options.log_dir))
    return run.folder if run else None


def _folder(options: Options, run: Path | None) -> Path:
    if options.output_dir:
        return Path(options.output_dir)
    return (Path(options.clips_dir) if options.clips_dir else run or Path("generated")) / OUT


def _existing(options: Options, folder: Path, split: Split, samples: int, rate: int) -> _Sound:
    """Clips of a folder, and as long real ones, twice as many."""
    found, paths = clips.read_folder(folder, rate, samples, options.clips)
    stretches = clips.choose(split, samples, len(found), rate)
    kept = clips.evenly(len(found), len(stretches) // 2)
    return _Sound(
        mulaw.decode(found[kept]),
        mulaw.decode(clips.read(split, stretches, samples)),
        [paths[i].name for i in kept],
        _places(split, stretches, rate),
        {"files": [str(paths[i]) for i in kept]},
        [("generated clips", folder)],
    )


def _generated(options: Options, trained: Trained, split: Split, samples: int) -> _Sound:
    """What the network makes, and real clips; as a continuation, of what comes before every other real clip."""
    rate, network = trained.sample_rate, trained.network
    engine = engine_for(network, options.engine, options.weights, options.batch_size)
    stretches = clips.choose(split, samples, options.clips or CLIPS, rate)
    places = _places(split, stretches, rate)
    context = network.context(rate)
    heard = [clips.prompt(split, stretch, context, rate) for stretch in stretches[1::2]]
    origins = [f"after {Path(file).name}, {start:.2f} s" for file, start in places[1::2]]
    if not options.conditional:
        heard, origins = [prompts.SILENCE] * len(heard), ["from silence"] * len(heard)
    base = Recipe(
        checkpoint=str(trained.path),
        weights_sha256=trained.digest,
        step=trained.step,
        network=trained.name,
        sample_rate=rate,
        kind="continuation" if options.conditional else "silence",
        seed=options.seed,
        clip=0,
        first_clip=0,
        batch_size=options.batch_size,
        temperature=options.temp,
        top_k=options.top_k,
        top_p=options.top_p,
        engine=engine.name,
        weights=options.weights,
        precision="float64" if options.double else "float32",
        device=next(network.parameters()).device.type,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
    with SampleProgress(len(heard) * samples, rate, live=False) as progress:
        progress.begin(f"generating {len(heard)} clips")
        codes = clips.generate(network, engine, heard, base, samples, options.batch_size, progress.advance)
    log.info("%.0f s of sound in %.0f s: %s", progress.drawn / rate, progress.seconds, progress.speed)
    facts = [("checkpoint", trained.path), ("network", trained.name), ("step", trained.step)]
    facts += [("weights", trained.digest), ("from", base.kind), ("temperature", f"{options.temp:g}")]
    real = clips.read(split, stretches, samples)
    return _Sound(mulaw.decode(codes), mulaw.decode(real), origins, places, asdict(base), facts)


def _places(split: Split, stretches: list[clips.Stretch], rate: int) -> list[tuple[str, float]]:
    found = [(split.recordings[stretch.recording], stretch.start) for stretch in stretches]
    return [(recording.source, (recording.begin + start) / rate) for recording, start in found]


def _write(
    folder: Path, run: Path | None, argv: list[str], options: Options, sound: _Sound, comparison: Comparison
) -> None:
    """evaluation.json and evaluation.html, which the pages of the run link."""
    command = shlex.join(["python", "-m", "sequnet_pl.evaluate", *argv])
    made = {
        "command": command,
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "settings": asdict(options),
        "generated": sound.made,
        "recordings": [{"file": file, "start": start} for file, start in sound.places],
    }
    atomic.write_text(folder / results.NUMBERS, results.dump(comparison, made))
    count, seconds = comparison.clips, comparison.samples / comparison.rate
    facts = [*sound.facts, ("clips", f"{count} of {seconds:g} s"), ("rate", f"{comparison.rate} Hz")]
    pairs = []
    for i in clips.evenly(count, _HEARD):
        file, start = sound.places[2 * i + 1]
        place = f"{Path(file).name}, {start:.2f} s"
        pairs.append(
            [
                PageClip(name=f"{kind}, {origin}", samples=samples[number], rate=comparison.rate)
                for kind, origin, samples, number in (
                    ("generated", sound.origins[i], sound.generated, i),
                    ("real", place, sound.real, 2 * i + 1),
                )
            ]
        )
    path, what = folder / results.PAGE, "generated clips against recordings"
    title, links = (run_title(run, what), run_pages(run)) if run else (what.capitalize(), [])
    write_evaluation_page(path, title, comparison, dict(facts), command, pairs, links)
    if run:
        link_page(run, f"evaluation in {folder.resolve().name}" if options.output_dir else "evaluation", path)


def _print(comparison: Comparison) -> None:
    """The numbers as tables on stdout."""
    distances = _table("distance to real recordings", "± standard error; real: other real recordings")
    means = _table("mean of the clips", results.explain_missing(comparison))
    for key, result in comparison.results.items():
        distances.add_row(results.with_unit(result.measure.name, result.measure.unit), *results.distances(result))
        if result.mean:
            means.add_row(results.with_unit(result.measure.name, results.UNITS[key]), *results.means(result))
    Console().print(distances, means)
    Console().print(results.verdict(comparison), highlight=False)


def _table(what: str, caption: str) -> Table:
    return Table(what, *(Column(name, justify="right") for name in SETS), caption=caption, caption_justify="left")
