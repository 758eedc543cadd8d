"""train.py: the module, the data and the trainer that the options describe, in a run folder."""

import os
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only

from sequnet_pl.cli.resolve import agree, check_weights
from sequnet_pl.cli.train_options import Request, read_command_line
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError
from sequnet_pl.models import registry
from sequnet_pl.project import command
from sequnet_pl.report.card import recommended_checkpoint
from sequnet_pl.report.run_folder import REPORT, Metrics
from sequnet_pl.training import checkpoints, run_dir
from sequnet_pl.training.health import library_message
from sequnet_pl.training.module import AudioModule, module_class
from sequnet_pl.training.process import exit_with_launcher, filter_warnings, ignore_stray_ranks, is_rank_zero
from sequnet_pl.training.run import default_precision, loggers_of_fit, make_trainer, run
from sequnet_pl.training.scores import PAGE

_NAME, _CHECKPOINT = "SEQUNET_PL_RUN_NAME", "SEQUNET_PL_CHECKPOINT"
"""In the environment of processes that Lightning launches: what the first process has chosen and found."""


def train(argv: list[str]) -> int:
    """Train or score as a command line asks. UserError and UsageError where it is not possible."""
    torch.set_flush_denormal(True)  # before any parallel operation, since threads inherit it
    launched = exit_with_launcher()
    filter_warnings()
    request = read_command_line(argv, os.environ.get(_CHECKPOINT) if launched else None)
    os.environ[_CHECKPOINT] = str(request.checkpoint or "")
    if request.print_config:
        print(request.parser.dump(request.settings, skip_unset=False), end="")  # noqa: T201
        return 0
    settings, fits = request.settings, request.command == "fit"
    if request.checkpoint:
        agree(settings, request.checkpoint, fits)
    if not launched and str(settings.trainer.devices) == "1" and settings.trainer.num_nodes == 1:
        ignore_stray_ranks()
    if settings.threads is not None:
        torch.set_num_threads(int(settings.threads))
        os.environ["OMP_NUM_THREADS"] = str(settings.threads)  # else Lightning divides the cores among its processes
    recordings = StoredRecordings.of(settings.data.as_dict())
    if is_rank_zero():
        recordings.check()  # before a network is built for them
    if recordings.labels and not settings.model.init_args.label_names:
        settings.model.init_args.label_names = recordings.label_names()
    folder, claim = _folder(request, os.environ.get(_NAME) if launched else None)
    trainer = None
    try:
        try:
            trainer, module, data = _build(request, folder)
        except Exception as error:
            if mistake := library_message(error):
                raise mistake from error
            raise
        kept = settings.clone()
        kept.ckpt_path = kept.best.dirpath = kept.last.dirpath = None
        config = request.parser.dump(kept, skip_unset=False)
        run(request.command, trainer, module, data, folder, config, request.checkpoint, request.start)
    finally:
        if claim:
            claim.release(began=bool(trainer and trainer.global_step))
    if request.command == "test":
        rank_zero_only(print)(f"details: {folder / PAGE}")
    elif fits and not trainer.fast_dev_run:  # type: ignore[attr-defined]
        snapshots = Path(settings.best.dirpath)
        words = ["test", "--ckpt_path", recommended_checkpoint(snapshots, Metrics(folder))]
        words += registry.options(request.network)
        words += ["--log_dir", settings.log_dir] if settings.snapshot_dir else []  # where the run's settings are
        test = command("train", *words)
        rank_zero_only(print)(f"report: {folder / REPORT}\ncheckpoints in {snapshots}; test with: {test}")
    return 0


def _folder(request: Request, chosen: str | None) -> tuple[Path, run_dir.RunDir | None]:
    """Return the folder of the run, locked by the first process of a fit; `chosen` is the name from its launcher."""
    settings, claim = request.settings, None
    root = Path(settings.log_dir)
    root = root if root.name == request.network else root / request.network
    snapshots = Path(settings.snapshot_dir) if settings.snapshot_dir else None
    found = request.checkpoint and checkpoints.run_of_checkpoint(request.checkpoint, Path(settings.log_dir))
    writes = is_rank_zero() and not settings.trainer.fast_dev_run
    if request.command != "fit":
        assert request.checkpoint
        folder = found.folder if found else request.checkpoint.parent
    elif found and run_dir.is_same(found, root, settings.log_dir, settings.name):
        folder = found.folder
        if writes:
            claim = run_dir.RunDir(folder, snapshots or folder / "checkpoints", is_new=False).lock()
    else:
        name = settings.name or chosen or run_dir.default_name(settings.trainer.num_nodes)
        folder = root / name
        if writes:
            claim = run_dir.create(root, name, snapshots, not settings.name, request.again)
            folder = claim.folder
        os.environ[_NAME] = folder.name
    settings.best.dirpath = settings.last.dirpath = str(snapshots or folder / "checkpoints")
    return folder, claim


def _build(request: Request, folder: Path) -> tuple[pl.Trainer, AudioModule, AudioDataModule]:
    """Return what the settings describe. UsageError for arguments that a class refuses."""
    settings, fits = request.settings, request.command == "fit"
    pl.seed_everything(settings.seed_everything, workers=True, verbose=False)
    try:
        built = request.parser.instantiate(settings)
    except (ValueError, TypeError) as error:
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:
            cause = inner
        raise UsageError(" ".join(str(cause).split())) from error
    module, data = module_class(request.network)(**built.model.init_args), AudioDataModule(**built.data)
    step = None
    if request.checkpoint:
        content = checkpoints.read(request.checkpoint)
        step = content.get("global_step")
        data.keep_split(checkpoints.data_state(content))
        check_weights(request.checkpoint, module)
    elif built.trainer.precision is None:  # written to config.yaml, so that a resumed run keeps it
        precision = default_precision(settings.trainer.accelerator, settings.gpu_precision, module)
        built.trainer.precision = settings.trainer.precision = precision
    logger = "none" if settings.trainer.fast_dev_run and settings.logger == "wandb" else settings.logger
    loggers = loggers_of_fit(folder, logger, step) if fits else []
    return make_trainer(built.trainer, loggers, folder, built), module, data
