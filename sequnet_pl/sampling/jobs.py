"""What sample.py is going to make: its batches, one after the other, and the command that makes each clip again."""

import logging
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from sequnet_pl import pretrained, project
from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.audio.pcm import read_codes
from sequnet_pl.cli.sample_options import Options
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UserError
from sequnet_pl.names import EngineName, WeightType
from sequnet_pl.sampling import prompts, saved
from sequnet_pl.sampling.clips import Batch
from sequnet_pl.sampling.engines import Engine, engine_for
from sequnet_pl.sampling.generate import start
from sequnet_pl.sampling.load import device_for, find_checkpoint, open_network, open_recordings
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
        folder: Where the clips go if nothing else is said.
        command: Gives the command line that makes a clip again with so many generated samples.
    """

    trained: Trained
    engine: Engine
    batches: Iterator[Batch]
    total: int
    folder: Path
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
    clips = options.batch_size * options.num_batches * len(options.temp) * max(1, len(options.prompt))
    return Plan(
        trained,
        engine,
        _batches(options, trained, engine),
        clips * options.samples(trained.sample_rate),
        Path("generated"),
        partial(_command, options),
    )


def _batches(options: Options, trained: Trained, engine: Engine) -> Iterator[Batch]:
    """Temperature by temperature, prompt by prompt, batch by batch."""
    rate, context = trained.sample_rate, trained.network.context(0)
    split = _recordings(options, trained) if options.conditional and not options.prompt else None
    given = [
        prompts.from_file(Path(file), rate, context, options.prompt_start, options.prompt_seconds)
        for file in options.prompt
    ]
    base = Recipe(
        checkpoint=str(trained.path),
        weights_sha256=trained.digest,
        step=trained.step,
        network=trained.name,
        sample_rate=rate,
        kind="prompt" if given else "continuation" if split else "silence",
        seed=options.seed,
        clip=0,
        first_clip=0,
        batch_size=options.batch_size,
        top_k=options.top_k,
        top_p=options.top_p,
        engine=engine.name,
        weights=options.weights,
        precision="float64" if options.double else "float32",
        device=next(trained.network.parameters()).device.type,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
    per_prompt = options.batch_size * options.num_batches
    for temperature in options.temp:
        for index, prompt in enumerate(given or [prompts.SILENCE]):
            begin = options.first_clip + index * per_prompt
            for first in range(begin, begin + per_prompt, options.batch_size):
                heard = [prompt] * options.batch_size
                if split:
                    heard = [
                        prompts.from_split(split, rate, context, options.prompt_seconds, options.seed, clip)
                        for clip in range(first, first + options.batch_size)
                    ]
                yield _batch(options, trained, replace(base, temperature=temperature, first_clip=first), heard)


def _batch(options: Options, trained: Trained, base: Recipe, heard: list[Prompt]) -> Batch:
    recipes = [
        replace(base, clip=base.first_clip + row, prompt=p.source, prompt_end=p.end, prompt_samples=p.heard)
        for row, p in enumerate(heard)
    ]
    session = start(trained.network, prompts.stack(heard, trained.network), len(heard))
    heads = [partial(_head, prompt) for prompt in heard]
    return Batch(session, recipes, heads, options.samples(trained.sample_rate))


def _head(prompt: Prompt) -> Iterator[NDArray[np.uint8]]:
    yield prompt.codes[len(prompt.codes) - prompt.heard :]


def _recordings(options: Options, trained: Trained) -> Split:
    """The recordings to continue: of the test split, else of val or train, which is said."""
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
    """A finished clip gone on from, as it was made. UserError where its checkpoint has other weights now."""
    found = saved.load(wav)
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
    batch = Batch(
        saved.session_on(found, device),
        [recipe],
        [partial(read_codes, wav)],
        samples,
        before=(nats, found.clip.generated),
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
    if recipe.kind == "prompt":
        words += ["--prompt", recipe.prompt, "--prompt_start", options.prompt_start]
    else:
        words += ["--conditional", int(recipe.kind == "continuation")]
    if recipe.kind != "silence":
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
