"""A run once its options are read: its trainer, and the fit or the scoring."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser, Namespace
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, RichProgressBar
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from rich.console import Console

from sequnet_pl import atomic
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models import registry
from sequnet_pl.models.frames import cpu_has_bfloat16_products
from sequnet_pl.models.precision import float32_products
from sequnet_pl.project import command
from sequnet_pl.report.card import recommended_checkpoint
from sequnet_pl.report.page import receptive_field
from sequnet_pl.report.run_folder import CONFIG, REPORT, Metrics
from sequnet_pl.training.checkpoints import data_state, read
from sequnet_pl.training.health import NonFinite, explained
from sequnet_pl.training.loggers import AppendingCSVLogger, can_log_to, end_wandb, wandb_logger
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.memory import check_memory
from sequnet_pl.training.module import AudioModule, callbacks_of, data_of, module_class
from sequnet_pl.training.process import is_rank_zero
from sequnet_pl.training.reporting import RunReport, warnings_noted
from sequnet_pl.training.run_timer import RunTimer
from sequnet_pl.training.sampling import SampleAudio
from sequnet_pl.training.saving import AtomicCheckpointIO, LastCheckpoint
from sequnet_pl.training.scores import PAGE, ScoreReport
from sequnet_pl.training.trained import Trained


@dataclass
class Job:
    """The task of a command line of train.py."""

    command: str  # fit, validate or test
    network: str  # its name in the registry
    settings: Namespace
    checkpoint: Path | None  # to resume from or to score
    start: Trained | None  # the weights that a new run starts from

    @property
    def fits(self) -> bool:
        """True for a fit."""
        return self.command == "fit"

    @property
    def writes(self) -> bool:
        """True if this process writes to the run folder."""
        return self.fits and is_rank_zero() and not self.settings.trainer.fast_dev_run


def build(job: Job, parser: ArgumentParser, folder: Path) -> tuple[pl.Trainer, AudioModule, AudioDataModule]:
    """Return the trainer, the module and the data of a run.

    Args:
        job: The task. A new run that names no precision is given one, which a resumed run keeps.
        parser: Its parser, which makes the objects that the settings name.
        folder: The run folder.

    Raises:
        UsageError: The settings make no sense, or there is no such device.
    """
    pl.seed_everything(job.settings.seed_everything, workers=True, verbose=False)
    built = _instantiate(parser, job.settings)
    module, data = module_class(job.network)(**built.model.init_args), AudioDataModule(**built.data)
    step = None
    if job.checkpoint:
        content = read(job.checkpoint)
        step = content.get("global_step")
        data.keep_split(data_state(content))
    elif built.trainer.precision is None:
        built.trainer.precision = job.settings.trainer.precision = _default_precision(job.settings, module)
    options: dict[str, Any] = dict(built.trainer)
    if options["accelerator"] == "auto":  # one GPU if there is one, never a device without float64
        options["accelerator"] = "gpu" if torch.cuda.is_available() else "cpu"
    if options["accelerator"] in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UsageError("torch finds no GPU with CUDA on this machine: --gpus 0 runs on the CPU")
    if options["enable_progress_bar"] is None:
        console = Console()
        options["enable_progress_bar"] = console.is_terminal or console.is_jupyter  # else printed at its end
    callbacks: list[pl.Callback] = [_SameStart(step), LearningRateMonitor("step"), Measures()]
    callbacks += [RunTimer(options.pop("max_time"))]
    callbacks += [RichProgressBar()] if options["enable_progress_bar"] else []
    last = LastCheckpoint(**built.last)
    last.options = _options(job)
    callbacks += [ModelCheckpoint(**built.best), last]
    callbacks += [SampleAudio(**built.sample_audio), NonFinite(**built.nonfinite)]
    callbacks += options.pop("callbacks") or []
    callbacks += [_KeptPatience(), ScoreReport(folder, None if built.score_labels == "all" else built.score_labels)]
    callbacks += [RunReport(folder, Path(built.best["dirpath"]), built.log_model)]
    plugins = options.pop("plugins") or []
    plugins = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
    options["default_root_dir"] = options["default_root_dir"] or str(folder)  # checkpoints that Lightning looks for
    if options["log_every_n_steps"] is None and 0 < options["max_steps"] < 500:
        options["log_every_n_steps"] = max(1, options["max_steps"] // 10)  # a short run has rows, too
    options |= {"logger": _loggers(job, folder, step), "callbacks": callbacks, "plugins": plugins}
    return pl.Trainer(**options), module, data


def _options(job: Job) -> list[str]:
    """Return the options that a command needs beside the path of a checkpoint of the run."""
    root = ["--log_dir", job.settings.log_dir] if job.settings.snapshot_dir else []  # where its settings are
    return [*registry.options(job.network), *root]


def _instantiate(parser: ArgumentParser, settings: Namespace) -> Namespace:
    """Return the settings with the objects that they name. UsageError for arguments that a class does not accept."""
    try:
        return parser.instantiate(settings)
    except (ValueError, TypeError) as error:
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:
            cause = inner
        raise UsageError(" ".join(str(cause).split())) from error


def _default_precision(settings: Namespace, module: AudioModule) -> str | None:
    """Return the precision of a new run that names none: bfloat16 where the device computes in it and it is faster."""
    accelerator = settings.trainer.accelerator
    if torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda"):
        return settings.gpu_precision if torch.cuda.is_bf16_supported(including_emulation=False) else None
    widths = [weight.shape[1] for group in module.network.matrices().values() for weight in group]
    on_cpu = accelerator in ("auto", "cpu")
    return "bf16-mixed" if on_cpu and min(widths, default=0) >= 64 and cpu_has_bfloat16_products() else None


def _loggers(job: Job, folder: Path, step: int | None) -> list[Logger]:
    """Return the loggers of a fit; where it is resumed at a step, TensorBoard hides what it has of later ones."""
    if not job.fits:
        return []
    network, name = folder.parent.name, folder.name
    loggers: list[Logger] = [AppendingCSVLogger(folder)]
    kind = job.settings.logger if can_log_to(folder) else "none"
    if kind == "wandb" and job.writes:
        wandb = wandb_logger(folder, f"{network}-{name}", network)
        loggers += [wandb] if wandb else []
    if kind == "tensorboard":
        root = str(folder.parent.parent)
        loggers.append(TensorBoardLogger(root, network, name, default_hp_metric=False, purge_step=step))
    return loggers


class _KeptPatience(pl.Callback):
    """Keeps the patience of early stopping as given: a checkpoint would restore its own."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._given: list[tuple[EarlyStopping, int]] = [
            (each, each.patience) for each in trainer.early_stopping_callbacks
        ]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for callback, patience in self._given:
            callback.patience = patience


class _SameStart(pl.Callback):
    """Raises UserError, before anything waits for ever, where processes start from other steps or recordings."""

    def __init__(self, step: int | None) -> None:
        self._step = step  # of the checkpoint that this process has found

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        own = self._step, [split.lengths.tolist() for split in data_of(trainer).splits.values()]
        if not trainer.strategy.reduce_boolean_decision(trainer.strategy.broadcast(own) == own):
            raise UserError(
                "the nodes have different checkpoints or recordings: put --log_dir and the recordings on a disk that "
                "they share, or copy them to each node"
            )


def run(job: Job, trainer: pl.Trainer, module: AudioModule, data: AudioDataModule, folder: Path, config: str) -> None:
    """Fit or score, and print what is done and what can follow. Errors that a user can fix are raised as UserError.

    Args:
        job: The task.
        trainer: The trainer.
        module: Its module.
        data: Its data.
        folder: The run folder.
        config: Text of config.yaml, which a fit writes there.
    """
    count = sum(parameter.numel() for parameter in module.network.parameters())
    device = type(trainer.accelerator).__name__.removesuffix("Accelerator")
    field = receptive_field(module.network.receptive_field, data.hparams["sample_rate"])
    rank_zero_only(print)(
        f"{job.command} {type(module.network).__name__}: {count:,} parameters, receptive field {field}, "
        f"on {trainer.num_devices} {device}, precision {trainer.precision}, in {folder}"
    )
    if job.start:
        _start_from(job.start, trainer, module)
    try:
        if job.fits:
            check_memory(trainer, module, data.hparams)
            # Lightning does so after callbacks have copied the module, and averaged weights would stay on the CPU
            module.to(trainer.strategy.root_device)
            if job.writes:
                atomic.write_text(folder / CONFIG, config)
            with warnings_noted(folder) if job.writes else nullcontext(), float32_products(tf32=True):
                _fit(trainer, module, data, job.checkpoint)
        else:
            with float32_products(tf32=False):
                getattr(trainer, job.command)(module, data, ckpt_path=str(job.checkpoint), verbose=False)
    except BaseException as error:
        end_wandb(trainer.loggers, status=1)
        if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None  # which Lightning turns into an exit with status 1
        if isinstance(error, Exception) and (mistake := explained(error, trainer)):
            raise mistake from error
        raise
    end_wandb(trainer.loggers)
    if job.command == "test":
        rank_zero_only(print)(f"details: {folder / PAGE}")
    elif job.fits and not job.settings.trainer.fast_dev_run:
        snapshots = Path(job.settings.best.dirpath)
        test = command(
            "train", "test", "--ckpt_path", recommended_checkpoint(snapshots, Metrics(folder)), *_options(job)
        )
        rank_zero_only(print)(f"report: {folder / REPORT}\ncheckpoints in {snapshots}; test with: {test}")


def _start_from(start: Trained, trainer: pl.Trainer, module: AudioModule) -> None:
    """Give a module the weights that its run starts from."""
    module.network.load_state_dict(start.with_labels(module.label_names).state_dict())
    (report,) = callbacks_of(trainer, RunReport)
    report.begun_from = {"path": str(start.path), "step": start.step, "weights": start.digest}
    if dropped := [label for label in start.labels if label not in module.label_names]:
        rank_zero_only(print)(f"labels of the checkpoint that are not kept: {', '.join(dropped)}")
    rank_zero_only(print)(f"starts from the weights of {start.path}, step {start.step:,}")


def _fit(trainer: pl.Trainer, module: AudioModule, data: AudioDataModule, checkpoint: Path | None) -> None:
    """Fit, validate at the end, and print why a fit ended, unless it made all its steps."""
    before = read(checkpoint)["global_step"] if checkpoint else -1
    trainer.fit(module, data, ckpt_path=str(checkpoint) if checkpoint else None, weights_only=True)
    is_finished = trainer.global_step == before
    if is_finished:
        rank_zero_only(print)("the run is finished: a larger --max_steps, --epochs or --minutes continues it")
    for callback in trainer.early_stopping_callbacks:
        if callback.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:  # not `stopped_epoch`: the first is 0
            rank_zero_only(print)(f"early stopping: {callback.stopping_reason_message}")
    if not (is_finished and _is_scored(trainer)):
        _validate_at_end(trainer, module, data)


def _is_scored(trainer: pl.Trainer) -> bool:
    """Return whether metrics.csv has a validation of the newest step."""
    (report,) = callbacks_of(trainer, RunReport)
    steps = Metrics(report.folder).curve("val/bits_per_sample")[0]
    return trainer.strategy.broadcast(trainer.global_step - 1 in steps)


def _validate_at_end(trainer: pl.Trainer, module: AudioModule, data: AudioDataModule) -> None:
    """Validate a run that `max_steps` ended between two validations, on no more samples than it was trained on."""
    (measures,), (report,) = callbacks_of(trainer, Measures), callbacks_of(trainer, RunReport)
    validates = trainer.enable_validation and data.samples_to_validate
    if not validates or trainer.global_step != trainer.max_steps or measures.scored_at == trainer.global_step:
        return
    if measures.samples_seen < data.samples_to_validate:
        data.most_validated = measures.samples_seen
        rank_zero_only(print)(f"validating on {measures.samples_seen:,} samples, as many as were trained on")
    loggers, trainer.loggers = trainer.loggers, []  # Lightning would log the scores at the step after the last one
    try:
        (scores,) = trainer.validate(module, data, verbose=False)
    finally:
        trainer.loggers = loggers
    for logger in loggers:
        epoch = trainer.fit_loop.epoch_progress.current.ready - 1  # of the newest step
        row = {**scores, **measures.clock(trainer), "epoch": epoch}
        logger.log_metrics(row, trainer.global_step - 1)
        logger.save()
    if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
        report.write()
