"""A run once its options are read: its trainer, and the fit or the scoring."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jsonargparse import Namespace
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from rich.console import Console

from sequnet_pl import atomic
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError
from sequnet_pl.models.frames import cpu_has_bfloat16_products
from sequnet_pl.models.precision import float32_products
from sequnet_pl.report.page import receptive_field
from sequnet_pl.report.run_folder import CONFIG
from sequnet_pl.training.checkpoints import read
from sequnet_pl.training.health import NonFinite, explained
from sequnet_pl.training.loggers import AppendingCSVLogger, can_log_to, end_wandb, wandb_logger
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.memory import check_memory
from sequnet_pl.training.module import AudioModule, callbacks_of
from sequnet_pl.training.process import is_rank_zero
from sequnet_pl.training.reporting import RunReport, warnings_noted
from sequnet_pl.training.run_timer import RunTimer
from sequnet_pl.training.sampling import SampleAudio
from sequnet_pl.training.saving import AtomicCheckpointIO, LastCheckpoint
from sequnet_pl.training.scores import ScoreReport
from sequnet_pl.training.trained import Trained


def default_precision(accelerator: str, gpu_precision: str | None, module: AudioModule) -> str | None:
    """Return the precision of a new run that names none: bfloat16 where the device computes in it and it is faster."""
    if torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda"):
        return gpu_precision if torch.cuda.is_bf16_supported(including_emulation=False) else None
    widths = [weight.shape[1] for group in module.network.matrices().values() for weight in group]
    on_cpu = accelerator in ("auto", "cpu")
    return "bf16-mixed" if on_cpu and min(widths, default=0) >= 64 and cpu_has_bfloat16_products() else None


def loggers_of_fit(folder: Path, kind: str, step: int | None) -> list[Logger]:
    """Return the CSV logger of a run folder, and the one that `kind` names: wandb, tensorboard or none.

    A run that is resumed at a step hides what TensorBoard has of later ones.
    """
    network, name = folder.parent.name, folder.name
    loggers: list[Logger] = [AppendingCSVLogger(folder)]
    kind = kind if can_log_to(folder) else "none"
    if kind == "wandb" and is_rank_zero():
        wandb = wandb_logger(folder, f"{network}-{name}", network)
        loggers += [wandb] if wandb else []
    if kind == "tensorboard":
        root = str(folder.parent.parent)
        loggers.append(TensorBoardLogger(root, network, name, default_hp_metric=False, purge_step=step))
    return loggers


def make_trainer(options: Namespace, loggers: Sequence[Logger], folder: Path, built: Namespace) -> pl.Trainer:
    """Return the trainer of a run.

    Args:
        options: Arguments of Lightning's Trainer.
        loggers: Its loggers.
        folder: The run folder.
        built: The settings of the callbacks: best, last, sample_audio, nonfinite, score_labels and log_model.

    Raises:
        UsageError: There is no such device.
    """
    settings: dict[str, Any] = dict(options)
    if settings["accelerator"] == "auto":  # one GPU if there is one, never what knows no float64
        settings["accelerator"] = "gpu" if torch.cuda.is_available() else "cpu"
    if settings["accelerator"] in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UsageError("torch finds no GPU with CUDA on this machine: --gpus 0 runs on the CPU")
    if settings["enable_progress_bar"] is None:
        console = Console()
        settings["enable_progress_bar"] = console.is_terminal or console.is_jupyter  # else printed at its end
    callbacks: list[pl.Callback] = [LearningRateMonitor("step"), Measures(), RunTimer(settings.pop("max_time"))]
    callbacks += [RichProgressBar()] if settings["enable_progress_bar"] else []
    callbacks += [ModelCheckpoint(**built.best), LastCheckpoint(**built.last)]
    callbacks += [SampleAudio(**built.sample_audio), NonFinite(**built.nonfinite)]
    callbacks += settings.pop("callbacks") or []
    callbacks += [_KeptPatience(), ScoreReport(folder, None if built.score_labels == "all" else built.score_labels)]
    callbacks += [RunReport(folder, Path(built.best["dirpath"]), built.log_model)]
    plugins = settings.pop("plugins") or []
    plugins = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
    settings["default_root_dir"] = settings["default_root_dir"] or str(folder)  # checkpoints that Lightning looks for
    if settings["log_every_n_steps"] is None and 0 < settings["max_steps"] < 500:
        settings["log_every_n_steps"] = max(1, settings["max_steps"] // 10)  # a short run has rows, too
    return pl.Trainer(**settings | {"logger": loggers, "callbacks": callbacks, "plugins": plugins})


class _KeptPatience(pl.Callback):
    """Keeps the patience of early stopping as given: a checkpoint would restore its own."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._given: list[tuple[EarlyStopping, int]] = [
            (each, each.patience) for each in trainer.early_stopping_callbacks
        ]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for callback, patience in self._given:
            callback.patience = patience


def run(
    command: str,
    trainer: pl.Trainer,
    module: AudioModule,
    data: AudioDataModule,
    folder: Path,
    config: str,
    checkpoint: Path | None = None,
    start: Trained | None = None,
) -> None:
    """Fit or score, and print what is done. Errors that a user can fix are raised as UserError.

    Args:
        command: fit, validate or test.
        trainer: The trainer.
        module: Its module.
        data: Its data.
        folder: The run folder.
        config: Text of config.yaml, which a fit writes there.
        checkpoint: What is resumed from or scored.
        start: The weights that a new run starts from.
    """
    count = sum(parameter.numel() for parameter in module.network.parameters())
    device = type(trainer.accelerator).__name__.removesuffix("Accelerator")
    field = receptive_field(module.network.receptive_field, data.hparams["sample_rate"])
    rank_zero_only(print)(
        f"{command} {type(module.network).__name__}: {count:,} parameters, receptive field {field}, "
        f"on {trainer.num_devices} {device}, precision {trainer.precision}, in {folder}"
    )
    if start:
        _start_from(start, trainer, module)
    try:
        if command == "fit":
            check_memory(trainer, module, data.hparams)
            _fit(trainer, module, data, folder, config, checkpoint)
        else:
            with float32_products(tf32=False):
                getattr(trainer, command)(module, data, ckpt_path=str(checkpoint), verbose=False)
    except BaseException as error:
        end_wandb(trainer.loggers, status=1)
        if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None  # which Lightning turns into an exit with status 1
        if isinstance(error, Exception) and (mistake := explained(error, trainer)):
            raise mistake from error
        raise
    end_wandb(trainer.loggers)


def _start_from(start: Trained, trainer: pl.Trainer, module: AudioModule) -> None:
    """Give a module the weights that its run starts from."""
    module.network.load_state_dict(start.with_labels(module.label_names).state_dict())
    (report,) = callbacks_of(trainer, RunReport)
    report.begun_from = {"path": str(start.path), "step": start.step, "weights": start.digest}
    if dropped := [label for label in start.labels if label not in module.label_names]:
        rank_zero_only(print)(f"labels of the checkpoint that are not kept: {', '.join(dropped)}")
    rank_zero_only(print)(f"starts from the weights of {start.path}, step {start.step:,}")


def _fit(
    trainer: pl.Trainer, module: AudioModule, data: AudioDataModule, folder: Path, config: str, checkpoint: Path | None
) -> None:
    """Fit, validate at the end, and print why a fit ended, unless it made the steps that were asked for."""
    writes = is_rank_zero() and not trainer.fast_dev_run  # type: ignore[attr-defined]
    if writes:
        atomic.write_text(folder / CONFIG, config)
    with warnings_noted(folder) if writes else nullcontext(), float32_products(tf32=True):
        before = read(checkpoint)["global_step"] if checkpoint else -1
        trainer.fit(module, data, ckpt_path=str(checkpoint) if checkpoint else None, weights_only=True)
        if trainer.global_step == before:
            rank_zero_only(print)("the run is finished: a larger --max_steps, --epochs or --minutes continues it")
        for callback in trainer.early_stopping_callbacks:
            if callback.stopped_epoch:
                rank_zero_only(print)(f"early stopping: {callback.stopping_reason_message}")
        _validate_at_end(trainer, module, data)


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
        row = {**scores, **measures.clock(trainer), "epoch": trainer.current_epoch}
        logger.log_metrics(row, trainer.global_step - 1)
        logger.save()
    if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
        report.write()
