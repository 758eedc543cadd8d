"""What sample.py is going to make: its batches, one after the other, and the command that makes each clip again."""

import logging
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import torch

from sequnet_pl import pretrained, project
from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.cli.sample_options import Options
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UserError
from sequnet_pl.names import EngineName, WeightType
from sequnet_pl.pretrained.excerpts import Excerpt, excerpts_of
from sequnet_pl.sampling import continued, prompts
from sequnet_pl.sampling.clips import Batch
from sequnet_pl.sampling.engines import Engine, engine_for
from sequnet_pl.sampling.generate import resume, start
from sequnet_pl.sampling.load import base_recipe, device_for, find_checkpoint, open_network, open_recordings
from sequnet_pl.sampling.prompts import Prompt
from sequnet_pl.sampling.recipe import Recipe
from sequnet_pl.training.trained import Trained

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        trained, engine: What draws.
        batches: The clips; each batch reads its prompts when it is asked for.
        total: Samples to draw, of all clips.
        folder: Of the clip that is continued; None for new clips.
        command: Gives the command line that makes a clip again with so many generated samples.
    """

    trained: Trained
    engine: Engine
    batches: Iterator[Batch]
    total: int
    folder: Path | None
    command: Callable[[Recipe, int], str]


def new_clips(options: Options) -> Plan:
    """Clips from silence, from files or from recordings."""
    device = device_for(options.device)
    path = find_checkpoint(options)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    trained = open_network(path, options, device, "float64" if options.double else "float32")
    engine = engine_for(trained.network, options.engine, options.weights, options.batch_size)
    if options.prompt or options.conditional:
        prompts.length(options.prompt_seconds, trained.sample_rate)
    labels = list(trained.labels) if options.label == ["all"] and trained.labels else list(options.label)
    for label in labels:
        trained.label_numbers(label, 1)
    clips = replace(options, label=labels).clips
    return Plan(
        trained,
        engine,
        _batches(options, trained, engine, labels or [""]),
        clips * options.samples(trained.sample_rate),
        None,
        partial(_command, options),
    )


def _batches(options: Options, trained: Trained, engine: Engine, labels: list[str]) -> Iterator[Batch]:
    """Label by label, temperature by temperature, prompt by prompt, batch by batch."""
    rate, context = trained.sample_rate, trained.network.context(0)
    excerpts = _excerpts(options)
    split = None
    if not excerpts and (options.conditional or options.audio_dir):
        split = _recordings(options, trained)
    given = [
        prompts.from_file(Path(file), rate, context, options.prompt_start, options.prompt_seconds)
        for file in options.prompt
    ]
    kind = "prompt" if given else "continuation" if split or excerpts else "silence"
    base = base_recipe(options, trained, engine, kind)
    if base.kind == "silence" and not (options.stdout or options.play):
        base = replace(base, lead_in=options.lead_in)
    per_prompt = options.batch_size * options.num_batches
    for label, temperature in product(labels, options.temp):
        for index, prompt in enumerate(given or [prompts.SILENCE]):
            begin = options.first_clip + index * per_prompt
            for first in range(begin, begin + per_prompt, options.batch_size):
                starting = [prompt] * options.batch_size
                clips = range(first, first + options.batch_size)
                if split:
                    how = (rate, context, options.prompt_seconds, options.seed)
                    starting = [prompts.from_split(split, *how, clip) for clip in clips]
                elif excerpts:
                    chosen = [excerpts[clip % len(excerpts)] for clip in clips]
                    starting = [_from_excerpt(excerpt, rate, options.prompt_seconds) for excerpt in chosen]
                own = replace(base, label=label, temperature=temperature, first_clip=first)
                yield _batch(options, trained, own, starting)


def _batch(options: Options, trained: Trained, base: Recipe, starting: list[Prompt]) -> Batch:
    recipes = [
        replace(base, clip=base.first_clip + row, prompt=p.source, prompt_end=p.end, prompt_samples=p.shown)
        for row, p in enumerate(starting)
    ]
    labels = trained.label_numbers(base.label, len(starting))
    session = start(trained.network, prompts.stack(starting, trained.network), len(starting), labels)
    contexts, heads = [prompt.context for prompt in starting], [prompt.head for prompt in starting]
    return Batch(session, recipes, contexts, heads, options.samples(trained.sample_rate), base.lead_in, labels=labels)


def _excerpts(options: Options) -> list[Excerpt]:
    """Return the bundled excerpts to continue; none for clips from silence, from files or from recordings."""
    elsewhere = options.prompt or options.audio_dir or options.conditional == 0
    return [] if elsewhere or options.pretrained not in pretrained.names() else excerpts_of(options.pretrained)


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
                log.warning("there are no test recordings; clips go on from those of %s", name)
            return split
    raise UserError(f"there are no recordings in {data.folder}")


def longer_clip(options: Options, wav: Path) -> Plan:
    """A clip that is continued with its own settings. UserError where its checkpoint has other weights now."""
    found = continued.read_clip(wav)
    recipe, samples = found.clip.recipe, options.samples(found.clip.recipe.sample_rate)
    device = device_for(int(recipe.device == "cuda") if options.device is None else options.device)
    torch.set_num_threads(options.threads or recipe.threads)
    named = options.ckpt_path or options.snapshot_dir
    path = find_checkpoint(options) if named else Path(recipe.checkpoint)
    trained = open_network(path, options, device, recipe.precision)
    if trained.digest != recipe.weights_sha256:
        raise UserError(f"{wav} was made with other weights than those in {path}; name its checkpoint with --ckpt_path")
    name = recipe.engine if options.engine == "auto" else options.engine
    engine = engine_for(trained.network, cast(EngineName, name), cast(WeightType, recipe.weights))
    recipe = replace(
        recipe, checkpoint=str(path), engine=engine.name, device=device.type, threads=torch.get_num_threads()
    )
    nats = found.clip.bits_per_sample * found.clip.generated * math.log(2)
    read = torch.from_numpy(np.concatenate((found.context, found.codes)))
    labels = trained.label_numbers(recipe.label, 1)
    session = resume(trained.network, read.unsqueeze(0), found.clip.drawn, labels)
    before = (nats, found.clip.generated)
    batch = Batch(
        session,
        [recipe],
        [found.context],
        [found.codes],
        samples,
        before=before,
        lead_in_before=found.clip.lead_in_samples,
    )

    def command(recipe: Recipe, count: int) -> str:
        return re.sub(r"--gen_samples \d+", f"--gen_samples {count}", found.clip.command)

    return Plan(trained, engine, iter([batch]), samples, wav.parent, command)


def _command(options: Options, recipe: Recipe, count: int) -> str:
    """The command line that makes a clip, and the others of its batch, again."""
    shipped = options.pretrained in pretrained.names()
    words: list[object] = ["--pretrained", options.pretrained] if shipped else ["--ckpt_path", recipe.checkpoint]
    words += ["--model", options.model] if options.model else []
    if options.layers is not None:
        words += ["--layers", options.layers]
    words += ["--label", recipe.label] if recipe.label else []
    if recipe.kind == "prompt":
        words += ["--prompt", recipe.prompt, "--prompt_start", options.prompt_start]
    else:
        words += ["--conditional", int(recipe.kind == "continuation")]
    if recipe.kind == "silence":
        words += ["--lead_in", f"{recipe.lead_in:g}"]
    else:
        words += ["--prompt_seconds", options.prompt_seconds]
        words += ["--audio_dir", options.audio_dir] if options.audio_dir else []
    words += ["--gen_samples", count, "--batch_size", recipe.batch_size, "--first_clip", recipe.first_clip]
    words += ["--temp", recipe.temperature, "--seed", recipe.seed]
    words += ["--top_k", recipe.top_k] if recipe.top_k < CLASSES else []
    words += ["--top_p", recipe.top_p] if recipe.top_p < 1 else []
    words += ["--engine", recipe.engine]
    words += ["--weights", recipe.weights] if recipe.weights != "float32" else []
    words += ["--double"] if recipe.precision == "float64" else []
    words += ["--gpus", int(recipe.device == "cuda"), "--threads", recipe.threads]
    return project.command("sample", *words)
