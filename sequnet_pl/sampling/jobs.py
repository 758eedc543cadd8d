"""The jobs of sample.py: batches, their files and page or their live output, and the command of each clip."""

import logging
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import torch

from sequnet_pl import pretrained, project
from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.cli.sample_options import SECONDS, Options
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.names import EngineName, WeightType
from sequnet_pl.pretrained.excerpts import Excerpt, excerpts_of
from sequnet_pl.report.run import link_page
from sequnet_pl.sampling import continued, prompts
from sequnet_pl.sampling.clip_folder import ROOT, ClipFolder, new_folder
from sequnet_pl.sampling.clips import Batch, drawn_blocks, make_batch
from sequnet_pl.sampling.engines import Block, Engine, engine_for
from sequnet_pl.sampling.generate import resume, start
from sequnet_pl.sampling.live import live_output
from sequnet_pl.sampling.load import base_metadata, device_for, find_checkpoint, open_network, open_recordings
from sequnet_pl.sampling.metadata import ClipMetadata
from sequnet_pl.sampling.progress import SampleProgress
from sequnet_pl.sampling.prompts import Prompt
from sequnet_pl.training.checkpoints import Run, run_of_checkpoint
from sequnet_pl.training.trained import Trained

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """The clips to be made."""

    trained: Trained
    engine: Engine
    batches: Iterator[Batch]  # each reads its prompts when it is drawn
    total: int  # samples to draw, of all clips
    folder: Path | None  # of the clip that is continued; None for new clips
    command: Callable[[ClipMetadata, int], str]
    """Returns the command line that reproduces a clip with a number of generated samples."""


def sample(options: Options) -> None:
    """Make the clips that the options describe. Raises UsageError and UserError."""
    torch.set_flush_denormal(True)  # before any parallel operation, since threads inherit it
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    plan = longer_clip(options, Path(options.continue_clip)) if options.continue_clip else new_clips(options)
    network, rate = plan.trained.network, plan.trained.sample_rate
    run = run_of_checkpoint(plan.trained.path, Path(options.log_dir))
    folder = None
    if options.output_dir or not (options.stdout or options.play):
        name = options.pretrained or (run.folder.resolve().name if run else plan.trained.name)
        folder = ClipFolder(Path(options.output_dir) if options.output_dir else plan.folder or new_folder(name))
    live = live_output(options.stdout, options.play, rate)

    def watch(block: Block) -> None:
        progress.add_block(block)
        if live:
            live.write(block.codes[0].cpu().numpy())

    try:
        with SampleProgress(plan.total, rate, live is not None) as progress:
            progress.begin("reading the prompt")
            for batch in plan.batches:
                first = batch.clips[0]
                progress.begin(f"clips from {first.clip}, temperature {first.temperature:g}")
                if live:
                    live.write(batch.prompts[0])
                if folder:
                    make_batch(network, plan.engine, batch, folder, plan.command, watch)
                else:
                    for block in drawn_blocks(network, plan.engine, batch):
                        watch(block)
    except (KeyboardInterrupt, BrokenPipeError, UserError):
        if folder and folder.own:
            with suppress(UserError):
                log.info("what was made is kept: %s", folder.write_page())
        elif folder and not options.output_dir:
            with suppress(OSError):  # the folder of a clip that is continued has that clip in it
                folder.folder.rmdir()
        raise
    log.info("%.2f s drawn in %.1f s: %s", progress.drawn / rate, progress.seconds, progress.speed)
    if live:
        live.close()
    if folder:
        _write_pages(folder, run)


def _write_pages(clip_folder: ClipFolder, run: Run | None) -> None:
    """Write the page of the clips, link it from those of its run and of generated/, and log what was made."""
    linked = page = clip_folder.write_page(run and run.folder)
    if clip_folder.folder.resolve().parent == ROOT.resolve():
        linked = ClipFolder(ROOT).write_page()
    if run:
        link_page(run.folder, f"clips in {linked.parent.resolve().name}", linked)
    silent = sum(clip.silent for clip in clip_folder.own)
    log.info("clips: %d, silent (level below -60 dBFS): %d", len(clip_folder.own), silent)
    log.info("listen: %s", page)


def new_clips(options: Options) -> Plan:
    """Clips from silence, from files or from recordings."""
    device = device_for(options.device)
    path = find_checkpoint(options)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    trained = open_network(path, options, device, "float64" if options.double else "float32")
    engine = engine_for(trained.network, options.engine, options.weights, options.batch_size)
    if options.prompt or options.conditional:
        prompts.length(options.prompt_seconds, trained.sample_rate)
    labels = [unicodedata.normalize("NFC", label) for label in dict.fromkeys(options.label)]
    if "all" in labels and trained.labels:
        labels = list(trained.labels)
    for label in labels:
        trained.label_numbers(label, 1)
    options = replace(options, label=labels)
    total = options.clips * _samples(options, trained.sample_rate)
    return Plan(trained, engine, _batches(options, trained, engine), total, None, partial(_command, options))


def _samples(options: Options, rate: int) -> int:
    """Return how many samples a clip to generate. UsageError for fewer than one."""
    seconds = SECONDS if options.seconds is None else options.seconds
    if (count := options.gen_samples or round(seconds * rate)) < 1:
        raise UsageError(f"--seconds {seconds:g} is less than one sample, 1/{rate} s")
    return count


def _batches(options: Options, trained: Trained, engine: Engine) -> Iterator[Batch]:
    """Label by label, temperature by temperature, prompt by prompt, batch by batch."""
    rate, network, size = trained.sample_rate, trained.network, options.batch_size
    samples, context = _samples(options, rate), network.context(0)
    source = _source(options, trained, context)
    given = [
        prompts.from_file(Path(file), rate, context, options.prompt_start, options.prompt_seconds)
        for file in options.prompt
    ]
    kind = "prompt" if given else "continuation" if source else "silence"
    base = base_metadata(options, trained, engine, kind)
    if kind == "silence" and not (options.stdout or options.play):
        base = replace(base, lead_in=options.lead_in)
    per_prompt = size * options.num_batches
    for label, temperature in product(options.label or [""], options.temp):
        for index, prompt in enumerate(given or [prompts.SILENCE]):
            begin = options.first_clip + index * per_prompt
            for first in range(begin, begin + per_prompt, size):
                numbers = range(first, first + size)
                starting = [source(number) if source else prompt for number in numbers]
                batch = replace(base, label=label, temperature=temperature, first_clip=first)
                clips = [
                    replace(batch, clip=number, prompt=each.source, prompt_end=each.end, prompt_samples=each.shown)
                    for number, each in zip(numbers, starting, strict=True)
                ]
                labels = trained.label_numbers(label, size)
                session = start(network, prompts.stack(starting, network), size, labels)
                contexts, shown = [each.context for each in starting], [each.shown_codes for each in starting]
                yield Batch(session, clips, contexts, shown, samples, base.lead_in, labels=labels)


def _source(options: Options, trained: Trained, context: int) -> Callable[[int], Prompt] | None:
    """Returns the prompt of a clip by its number: an excerpt or a recording; None for files and silence."""
    rate, seconds = trained.sample_rate, options.prompt_seconds
    replaced = options.prompt or options.audio_dir or options.conditional == 0
    bundled = options.pretrained if options.pretrained in pretrained.names() and not replaced else None
    if excerpts := excerpts_of(bundled) if bundled else []:
        return lambda clip: _from_excerpt(excerpts[clip % len(excerpts)], rate, seconds)
    if options.conditional or options.audio_dir:
        split = _recordings(options, trained)
        return lambda clip: prompts.from_split(split, rate, context, seconds, options.seed, clip)
    return None


def _from_excerpt(excerpt: Excerpt, rate: int, seconds: float) -> Prompt:
    shown = min(prompts.length(seconds, rate), len(excerpt.codes))
    return Prompt(excerpt.codes, shown, excerpt.source, excerpt.end)


def _recordings(options: Options, trained: Trained) -> Split:
    """The recordings to continue: of the test split, else of val or train, which is logged."""
    try:
        data = open_recordings(options.audio_dir, trained)
        splits = data.splits
    except UserError as error:
        raise UserError(f"{error} (--conditional 0 needs none)") from error
    for name in ("test", "val", "train"):
        if len((split := splits[name]).lengths):
            if name != "test":
                log.warning("there are no test recordings; clips continue those of %s", name)
            return split
    raise UserError(f"there are no recordings in {data.folder}")


def longer_clip(options: Options, wav: Path) -> Plan:
    """A clip that is continued with its own settings. Raises UserError if its checkpoint has other weights now."""
    clip, context, codes = continued.read_clip(wav)
    made = clip.metadata
    samples = _samples(options, made.sample_rate)
    device = device_for(int(made.device == "cuda") if options.device is None else options.device)
    torch.set_num_threads(options.threads or made.threads)
    named = options.ckpt_path or options.snapshot_dir
    path = find_checkpoint(options) if named else Path(made.checkpoint)
    trained = open_network(path, options, device, made.precision)
    if trained.digest != made.weights_sha256:
        raise UserError(f"{wav} was made with other weights than those in {path}; name its checkpoint with --ckpt_path")
    name = made.engine if options.engine == "auto" else options.engine
    engine = engine_for(trained.network, cast(EngineName, name), cast(WeightType, made.weights))
    threads = torch.get_num_threads()
    metadata = replace(made, checkpoint=str(path), engine=engine.name, device=device.type, threads=threads)
    read = torch.from_numpy(np.concatenate((context, codes)))
    batch = Batch(
        resume(trained.network, read.unsqueeze(0), clip.drawn, trained.label_numbers(made.label, 1)),
        [metadata],
        [context],
        [codes],
        samples,
        previous_nll=(clip.bits_per_sample * clip.generated * math.log(2), clip.generated),
        previous_lead_in=clip.lead_in_samples,
    )

    def command(_: ClipMetadata, count: int) -> str:
        return re.sub(r"--gen_samples \d+", f"--gen_samples {count}", clip.command)

    return Plan(trained, engine, iter([batch]), samples, wav.parent, command)


def _command(options: Options, clip: ClipMetadata, count: int) -> str:
    """The command line that makes a clip, and the others of its batch, again."""
    bundled = options.pretrained in pretrained.names()
    words: list[object] = ["--pretrained", options.pretrained] if bundled else ["--ckpt_path", clip.checkpoint]
    words += ["--model", options.model] if options.model else []
    words += ["--layers", options.layers] if options.layers is not None else []
    words += ["--label", clip.label] if clip.label else []
    if clip.kind == "prompt":
        words += ["--prompt", clip.prompt, "--prompt_start", options.prompt_start]
    else:
        words += ["--conditional", int(clip.kind == "continuation")]
    if clip.kind == "silence":
        words += ["--lead_in", f"{clip.lead_in:g}"]
    else:
        words += ["--prompt_seconds", options.prompt_seconds]
        words += ["--audio_dir", options.audio_dir] if options.audio_dir else []
    words += ["--gen_samples", count, "--batch_size", clip.batch_size, "--first_clip", clip.first_clip]
    words += ["--temp", clip.temperature, "--seed", clip.seed]
    words += ["--top_k", clip.top_k] if clip.top_k < CLASSES else []
    words += ["--top_p", clip.top_p] if clip.top_p < 1 else []
    words += ["--engine", clip.engine]
    words += ["--weights", clip.weights] if clip.weights != "float32" else []
    words += ["--double"] if clip.precision == "float64" else []
    words += ["--gpus", int(clip.device == "cuda"), "--threads", clip.threads]
    return project.command("sample", *words)
