"""sample.py: from options to a network, prompts, batches of clips, and the page to listen on."""

import logging
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.audio.pcm import read_codes
from sequnet_pl.cli.sample_network import device_for, find_checkpoint, open_network
from sequnet_pl.cli.sample_options import Options, parse
from sequnet_pl.cli.sample_progress import SampleProgress
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.store import Split
from sequnet_pl.errors import UserError
from sequnet_pl.sampling import prompts, saved
from sequnet_pl.sampling.album import Album
from sequnet_pl.sampling.clips import Batch, drawn_blocks, make_batch
from sequnet_pl.sampling.generate import Block, start
from sequnet_pl.sampling.live import Live, Pipe, Speaker
from sequnet_pl.sampling.prompts import Prompt
from sequnet_pl.sampling.recipe import Recipe
from sequnet_pl.training.trained import Trained

log = logging.getLogger(__name__)

Command = Callable[[Recipe, int], str]


def sample(argv: list[str]) -> int:
    """The whole of sample.py; what is not the user's to mend is raised."""
    options = parse(argv)
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    if options.continue_clip:
        wav = Path(options.continue_clip)
        trained, batch, command = _continued(options, wav)
        folder, plan, clips = options.output_dir or str(wav.parent), iter([batch]), 1
    else:
        trained, plan, clips = _planned(options)
        folder, command = options.output_dir or "generated", partial(_command, options, trained)
    album = None
    if options.output_dir or not (options.stdout or options.play):
        album = Album(Path(folder))
    _make(options, trained, plan, clips, album, command)
    return 0


def _make(
    options: Options, trained: Trained, plan: Iterator[Batch], clips: int, album: Album | None, command: Command
) -> None:
    """Make all batches; the page is written whatever happens."""
    rate = trained.sample_rate
    live = _live(options, rate)
    total = clips * options.samples(rate)
    try:
        with SampleProgress(total, rate, live is not None) as progress:
            progress.begin("reading the prompt")
            for batch in plan:
                recipe = batch.recipes[0]
                progress.begin(f"clips from {recipe.clip}, temperature {recipe.temperature:g}")
                _make_one(trained, batch, album, live, command, progress)
    except (KeyboardInterrupt, UserError):
        if album and album.changed:
            with suppress(UserError):
                log.info("what was made is kept: %s", album.write_page())
        raise
    log.info("%.2f s of sound in %.1f s: %s", progress.drawn / rate, progress.seconds, progress.speed)
    if live:
        live.close()
    if album:
        log.info("listen: %s", album.write_page())


def _make_one(
    trained: Trained,
    batch: Batch,
    album: Album | None,
    live: Live | None,
    command: Command,
    progress: SampleProgress,
) -> None:
    row = batch.rows[0]
    if live:
        for codes in batch.heads[0]():
            live.write(codes)

    def watch(block: Block) -> None:
        progress.advance(block)
        if live:
            live.write(block.codes[row].cpu().numpy())

    if album:
        make_batch(trained.network, batch, album, command, watch)
    else:
        for block in drawn_blocks(trained.network, batch):
            watch(block)


def _live(options: Options, rate: int) -> Live | None:
    if options.stdout:
        return Pipe(sys.stdout.buffer, rate, header=options.stdout == "wav")
    return Speaker(rate) if options.play else None


def _planned(options: Options) -> tuple[Trained, Iterator[Batch], int]:
    """The network, the batches, and how many clips they are."""
    device = device_for(options.gpus)
    path = find_checkpoint(options)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    trained = open_network(path, options, device, "float64" if options.double else "float32")
    per_prompt = options.batch_size * options.num_batches
    count = per_prompt * len(options.temp) * max(1, len(options.prompt))
    return trained, _batches(options, trained, device), count


def _batches(options: Options, trained: Trained, device: torch.device) -> Iterator[Batch]:
    """Temperature by temperature, prompt by prompt, batch by batch."""
    rate, context = trained.sample_rate, trained.network.window(1).inputs
    split = _recordings(options, trained) if options.conditional and not options.prompt else None
    given = [
        prompts.from_file(Path(file), rate, context, options.prompt_start, options.prompt_seconds)
        for file in options.prompt
    ]
    kind = "prompt" if given else "continuation" if split else "silence"
    base = Recipe(
        checkpoint=str(trained.path),
        weights_sha256=trained.digest,
        step=trained.step,
        network=trained.name,
        sample_rate=rate,
        kind=kind,
        seed=options.seed,
        clip=0,
        first_clip=0,
        batch_size=options.batch_size,
        top_k=options.top_k,
        top_p=options.top_p,
        precision="float64" if options.double else "float32",
        device=device.type,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
    per_prompt = options.batch_size * options.num_batches
    for temperature in options.temp:
        for index, prompt in enumerate(given or [prompts.SILENCE]):
            begin = options.first_clip + index * per_prompt
            for first in range(begin, begin + per_prompt, options.batch_size):
                numbers = range(first, first + options.batch_size)
                heard = [
                    prompts.from_split(split, rate, context, options.prompt_seconds, options.seed, number)
                    if split
                    else prompt
                    for number in numbers
                ]
                yield _batch(options, trained, replace(base, temperature=temperature, first_clip=first), heard)


def _batch(options: Options, trained: Trained, base: Recipe, heard: list[Prompt]) -> Batch:
    recipes = [
        replace(base, clip=base.first_clip + row, prompt=p.source, prompt_end=p.end, prompt_samples=p.heard)
        for row, p in enumerate(heard)
    ]
    session = start(trained.network, prompts.stack(heard, trained.network.window(1).inputs), len(heard))
    heads = [partial(_head, prompt) for prompt in heard]
    return Batch(session, recipes, heads, options.samples(trained.sample_rate))


def _head(prompt: Prompt):
    yield prompt.codes[len(prompt.codes) - prompt.heard :]


def _recordings(options: Options, trained: Trained) -> Split:
    """The recordings to continue: of the test split, else of val or train, which is said."""
    settings: dict[str, Any] = trained.data | ({"audio_dir": options.audio_dir} if options.audio_dir else {})
    data = AudioDataModule(**settings)
    try:
        data.prepare_data()
    except UserError as error:
        raise UserError(f"{error} (--audio_dir says where recordings are, --conditional 0 needs none)") from error
    data.setup("predict")
    for name in ("test", "val", "train"):
        if len((split := data.splits[name]).lengths):
            if name != "test":
                log.warning("there are no test recordings; clips go on from those of %s", name)
            return split
    raise UserError(f"there are no recordings in {data.store}")


def _continued(options: Options, wav: Path) -> tuple[Trained, Batch, Command]:
    """The network of a finished clip, and a batch that makes the clip longer."""
    found = saved.load(wav)
    recipe = found.clip.recipe
    device = device_for({"cpu": 0, "cuda": 1}[recipe.device] if options.gpus is None else options.gpus)
    torch.set_num_threads(options.threads or recipe.threads)
    named = options.ckpt_path or options.snapshot_dir
    trained = open_network(
        find_checkpoint(options) if named else Path(recipe.checkpoint), options, device, recipe.precision
    )
    if trained.digest != recipe.weights_sha256:
        raise UserError(
            f"{wav} was made with other weights than those now in {trained.path}; name its checkpoint with --ckpt_path"
        )
    recipe = replace(recipe, checkpoint=str(trained.path), device=device.type, threads=torch.get_num_threads())
    nats = found.clip.bits_per_sample * found.clip.generated * 0.6931471805599453
    batch = Batch(
        saved.session_on(found, device),
        [recipe],
        [partial(read_codes, wav)],
        options.samples(recipe.sample_rate),
        before=(nats, found.clip.generated),
    )

    def command(recipe: Recipe, count: int) -> str:
        return re.sub(r"--gen_samples \d+", f"--gen_samples {count}", found.clip.command)

    return trained, batch, command


def _command(options: Options, trained: Trained, recipe: Recipe, count: int) -> str:
    """The command line that makes a clip, and the others of its batch, again."""
    words = ["--ckpt_path", recipe.checkpoint]
    if "layers" in options.architecture:
        words += ["--layers", options.architecture["layers"]]
    if recipe.kind == "prompt":
        words += ["--prompt", recipe.prompt, "--prompt_start", f"{options.prompt_start:g}"]
    else:
        words += ["--conditional", int(recipe.kind == "continuation")]
    if recipe.kind != "silence":
        words += ["--prompt_seconds", f"{options.prompt_seconds:g}"]
        words += ["--audio_dir", options.audio_dir] if options.audio_dir else []
    words += ["--gen_samples", count, "--batch_size", recipe.batch_size, "--first_clip", recipe.first_clip]
    words += ["--temp", f"{recipe.temperature:g}", "--seed", recipe.seed]
    words += ["--top_k", recipe.top_k] if recipe.top_k < CLASSES else []
    words += ["--top_p", f"{recipe.top_p:g}"] if recipe.top_p < 1 else []
    words += ["--double"] if recipe.precision == "float64" else []
    words += ["--gpus", int(recipe.device == "cuda"), "--threads", recipe.threads]
    return shlex.join(["python", "sample.py", *map(str, words)])
