"""The network and the recordings that options name."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sequnet_pl import pretrained
from sequnet_pl.audio import mulaw
from sequnet_pl.cli.sample_options import NetworkOptions
from sequnet_pl.data import summary
from sequnet_pl.data.store.index import read_index
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models import registry
from sequnet_pl.pretrained import archive
from sequnet_pl.pretrained.excerpts import Excerpt
from sequnet_pl.project import CONFIGS
from sequnet_pl.report.clip import SILENT_BELOW, level
from sequnet_pl.sampling import prompts
from sequnet_pl.sampling.engines import Engine
from sequnet_pl.sampling.metadata import ClipMetadata
from sequnet_pl.training.checkpoints import named
from sequnet_pl.training.trained import Trained, load_trained, newest_checkpoint

log = logging.getLogger(__name__)


PUBLISHED = ("sequnet", "wavenet")
"""Networks whose published weights can be downloaded."""
PRETRAINED = Path("data/pretrained")
"""Folder of the published weights."""
EXCERPTS = 8
"""Excerpts beside an exported network."""
_EXCERPT_TRIES = 64


def find_checkpoint(options: NetworkOptions) -> Path:
    """The checkpoint that the options name, else the newest under the log root. UserError where there is none."""
    model = options.model and registry.resolve(options.model)
    if options.pretrained in PUBLISHED:
        return newest_checkpoint(archive.fetch(options.pretrained, CONFIGS / "pretrained.yaml", PRETRAINED))
    if options.pretrained:
        return pretrained.weights_of(options.pretrained)
    if options.snapshot_dir:
        return newest_checkpoint(Path(options.snapshot_dir))
    return newest_checkpoint(named(options.ckpt_path or "last", Path(options.log_dir), model))


def open_network(path: Path, options: NetworkOptions, device: torch.device, precision: str) -> Trained:
    """The network of a checkpoint, ready to draw. UsageError where flags contradict it."""
    model = options.model and registry.resolve(options.model)
    trained = load_trained(path, options.layers)
    if model not in (None, trained.name):
        raise UsageError(f"--model {options.model}, but {path} holds a {trained.name}; leave --model out")
    for name, value in options.shape.items():
        if name not in trained.network.arguments:
            raise UsageError(f"--{name} {value}, but {path} holds a {trained.name}, which has no {name}")
        if trained.network.arguments[name] != value:
            has = trained.network.arguments[name]
            raise UsageError(f"--{name} {value}, but {path} has {name} {has}; leave --{name} out")
    trained.network.eval().requires_grad_(False).to(device, getattr(torch, precision))
    return trained


def base_metadata(options: Any, trained: Trained, engine: Engine, kind: str) -> ClipMetadata:
    """Return what the clips of a call have in common, from the options of sample.py or evaluate."""
    return ClipMetadata(
        checkpoint=str(trained.path),
        weights_sha256=trained.digest,
        step=trained.step,
        network=trained.name,
        sample_rate=trained.sample_rate,
        kind=kind,
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


def device_for(gpus: int | None) -> torch.device:
    """Return the GPU or the CPU; by default the GPU if there is one. UsageError for a GPU that is not there."""
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0  # it counts unusable ones, too
    if gpus is None:
        log.info("sampling on %s", "the GPU" if found else "the CPU: there is no GPU")
        gpus = min(found, 1)
    if gpus > found:
        raise UsageError(
            f"--gpus {gpus}, but torch finds no GPU with CUDA on this machine; --gpus 0 samples on the CPU"
        )
    return torch.device("cuda" if gpus else "cpu")


def open_recordings(audio_dir: str | None, trained: Trained) -> StoredRecordings:
    """Recordings with their store made: of a folder, or those of the training as they were stored then.

    UserError where they are not there; a few clips are no reason to download hundreds of hours.
    """
    data = StoredRecordings.of(trained.data)
    if audio_dir:
        data = replace(data, audio_dir=audio_dir, audio_list=None, recordings=None, builtin_takes=None, held_out=None)
    if data.builtin_takes and read_index(data.folder) is None:  # of train, which nothing is sampled from
        data = replace(data, builtin_takes=None)
    stored = read_index(data.folder) is not None
    made = data.dataset == "builtin" and not data.recordings
    if not (stored or data.audio_dir or data.audio_list or made):
        raise UserError(f"the recordings of the training are not in {data.folder}; name others with --audio_dir FOLDER")
    other_split = stored and data.held_out and replace(data).names() != data.held_out  # another run has made it
    if audio_dir or not stored or other_split:
        try:
            summary.show(data.make(), data.folder)
        except UserError as error:
            raise UserError(f"{error} (--audio_dir names recordings)") from error
    return data


def held_out_excerpts(trained: Trained) -> list[Excerpt]:
    """Return excerpts of the recordings that a network was not trained on, as long as its context, that end in sound.

    UserError if the recordings are not there, none is held out or all are silent.
    """
    rate = trained.sample_rate
    context = trained.network.context(rate)
    splits = open_recordings(None, trained).splits
    split = next((splits[name] for name in ("test", "val") if len(splits[name].lengths)), None)
    found: list[Excerpt] = []
    for clip in range(_EXCERPT_TRIES if split else 0):
        assert split
        prompt = prompts.from_split(split, rate, context, context / rate, 0, clip)
        if level(mulaw.decode(prompt.codes[-rate // 10 :])) >= SILENT_BELOW:
            found.append(Excerpt(prompt.codes, prompt.source, prompt.end))
        if len(found) == EXCERPTS:
            break
    if not found:
        raise UserError("there are no held-out recordings with sound to take excerpts of; export without --excerpts")
    return found
