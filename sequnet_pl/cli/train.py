"""train.py: build the module, the data and the Trainer that the options describe, in a run folder, and run them."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytorch_lightning as pl
import torch
from jsonargparse import Namespace
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from rich.console import Console

from sequnet_pl import atomic
from sequnet_pl.cli import run_dir
from sequnet_pl.cli.process import exit_with_launcher, filter_warnings, ignore_stray_ranks, is_rank_zero
from sequnet_pl.cli.resolve import agree, check_weights
from sequnet_pl.cli.train_options import Request, read_command_line
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError
from sequnet_pl.models import registry
from sequnet_pl.models.frames import cpu_has_bfloat16_products
from sequnet_pl.models.precision import float32_products
from sequnet_pl.project import command
from sequnet_pl.report.card import recommended_checkpoint
from sequnet_pl.report.page import receptive_field
from sequnet_pl.report.run_folder import CONFIG, REPORT, Metrics
from sequnet_pl.training import checkpoints
from sequnet_pl.training.health import NonFinite, explained, library_message
from sequnet_pl.training.loggers import AppendingCSVLogger, can_log_to, end_wandb, wandb_logger
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.memory import check_memory
from sequnet_pl.training.module import AudioModule, module_class
from sequnet_pl.training.reporting import RunReport, warnings_noted
from sequnet_pl.training.run_timer import RunTimer
from sequnet_pl.training.sampling import SampleAudio
from sequnet_pl.training.saving import AtomicCheckpointIO, LastCheckpoint
from sequnet_pl.training.scores import PAGE as SCORES
from sequnet_pl.training.scores import ScoreReport

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
        pl.seed_everything(settings.seed_everything, workers=True, verbose=False)
        try:
            built = _instantiate(request)
            module, data = module_class(request.network)(**built.model.init_args), AudioDataModule(**built.data)
            if request.checkpoint:
                data.keep_split(checkpoints.data_state(checkpoints.read(request.checkpoint)))
            report = RunReport(folder, Path(settings.best.dirpath), settings.log_model)
            if fits and not request.checkpoint and built.trainer.precision is None:
                built.trainer.precision = settings.trainer.precision = _default_precision(settings, module)
            if request.checkpoint:
                check_weights(request.checkpoint, module)
            trainer = _trainer(request, built, folder, report)
        except Exception as error:
            if mistake := library_message(error):
                raise mistake from error
            raise
        count = sum(parameter.numel() for parameter in module.network.parameters())
        device = type(trainer.accelerator).__name__.removesuffix("Accelerator")
        field = receptive_field(module.network.receptive_field, data.hparams["sample_rate"])
        rank_zero_only(print)(
            f"{request.command} {type(module.network).__name__}: {count:,} parameters, "
            f"receptive field {field}, on {trainer.num_devices} {device}, "
            f"precision {trainer.precision}, in {folder}"
        )
        if start := request.start:
            module.network.load_state_dict(start.with_labels(module.label_names).state_dict())
            report.begun_from = {"path": str(start.path), "step": start.step, "weights": start.digest}
            if dropped := [label for label in start.labels if label not in module.label_names]:
                rank_zero_only(print)(f"labels of the checkpoint that are not kept: {', '.join(dropped)}")
            rank_zero_only(print)(f"starts from the weights of {start.path}, step {start.step:,}")
        if fits:
            check_memory(trainer, module, data.hparams)
        _run(request, trainer, module, data, folder)
    finally:
        if claim:
            claim.release(began=bool(trainer and trainer.global_step))
    if request.command == "test":
        rank_zero_only(print)(f"details: {folder / SCORES}")
    elif fits and not trainer.fast_dev_run:  # type: ignore[attr-defined]
        kept = Path(settings.best.dirpath)
        words = ["test", "--ckpt_path", recommended_checkpoint(kept, Metrics(folder))]
        words += registry.options(request.network)
        words += ["--log_dir", settings.log_dir] if settings.snapshot_dir else []  # where the run's settings are
        test = command("train", *words)
        rank_zero_only(print)(f"report: {folder / REPORT}\ncheckpoints in {kept}; test with: {test}")
    return 0


def _folder(request: Request, chosen: str | None) -> tuple[Path, run_dir.RunDir | None]:
    """Return the folder of the run, locked by the first process of a fit; `chosen` is the name from its launcher."""
    settings, claim = request.settings, None
    root = Path(settings.log_dir)
    root = root if root.name == request.network else root / request.network
    snapshots = Path(settings.snapshot_dir) if settings.snapshot_dir else None
    run = request.checkpoint and checkpoints.run_of_checkpoint(request.checkpoint, Path(settings.log_dir))
    writes = is_rank_zero() and not settings.trainer.fast_dev_run
    if request.command != "fit":
        assert request.checkpoint
        folder = run.folder if run else request.checkpoint.parent
    elif run and run_dir.is_same(run, root, settings.log_dir, settings.name):
        folder = run.folder
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


def _instantiate(request: Request) -> Namespace:
    """Return the settings with the objects that they name. UsageError for arguments that a class refuses."""
    try:
        return request.parser.instantiate(request.settings)
    except (ValueError, TypeError) as error:
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:
            cause = inner
        raise UsageError(" ".join(str(cause).split())) from error


def _uses_gpu(accelerator: str) -> bool:
    return torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda")


def _default_precision(settings: Namespace, module: AudioModule) -> str | None:
    """Return the precision of a new run that names none: bfloat16 where the device computes in it and it is faster.

    It is written to config.yaml, so that a resumed run keeps it.
    """
    if _uses_gpu(settings.trainer.accelerator):
        return settings.gpu_precision if torch.cuda.is_bf16_supported(including_emulation=False) else None
    widths = [weight.shape[1] for group in module.network.matrices().values() for weight in group]
    narrowest = min(widths, default=0)
    on_cpu = settings.trainer.accelerator in ("auto", "cpu")
    return "bf16-mixed" if on_cpu and narrowest >= 64 and cpu_has_bfloat16_products() else None


def _trainer(request: Request, built: Namespace, folder: Path, report: RunReport) -> pl.Trainer:
    """Return the trainer with the loggers and callbacks of the run."""
    settings, fits = request.settings, request.command == "fit"
    options = dict(built.trainer)
    root, network, name = folder.parent.parent, folder.parent.name, folder.name
    loggers: list[Logger] = []
    if fits:
        loggers = [AppendingCSVLogger(folder)]
        logger = settings.logger if can_log_to(folder) else "none"
        if logger == "wandb" and is_rank_zero() and not settings.trainer.fast_dev_run:
            wandb = wandb_logger(folder, f"{network}-{name}", network)
            loggers += [wandb] if wandb else []
        if logger == "tensorboard":
            step = checkpoints.read(request.checkpoint)["global_step"] if request.checkpoint else None
            # TensorBoard then hides what was logged after the checkpoint
            loggers.append(TensorBoardLogger(str(root), network, name, default_hp_metric=False, purge_step=step))
    if options["accelerator"] == "auto":  # one GPU if there is one, never what knows no float64
        options["accelerator"] = "gpu" if _uses_gpu("auto") else "cpu"
    if options["accelerator"] in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UsageError("torch finds no GPU with CUDA on this machine: --gpus 0 runs on the CPU")
    callbacks: list[pl.Callback] = [LearningRateMonitor("step"), Measures(), RunTimer(options.pop("max_time"))]
    if options["enable_progress_bar"] is None:
        console = Console()
        options["enable_progress_bar"] = console.is_terminal or console.is_jupyter  # elsewhere it is printed at its end
    callbacks += [RichProgressBar()] if options["enable_progress_bar"] else []
    callbacks += [ModelCheckpoint(**built.best), LastCheckpoint(**built.last)]
    callbacks += [SampleAudio(**built.sample_audio), NonFinite(**built.nonfinite)]
    most_recognised = None if settings.score_labels == "all" else settings.score_labels
    callbacks += [*(options.pop("callbacks") or []), _Settings(request, folder)]
    callbacks += [ScoreReport(folder, most_recognised), report]
    plugins = options.pop("plugins") or []
    plugins = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
    options.pop("logger")
    options["default_root_dir"] = options["default_root_dir"] or str(folder)  # checkpoints that Lightning looks for
    if options["log_every_n_steps"] is None and 0 < options["max_steps"] < 500:
        options["log_every_n_steps"] = max(1, options["max_steps"] // 10)  # a short run has rows, too
    return pl.Trainer(**options, logger=loggers, callbacks=callbacks, plugins=plugins)


class _Settings(pl.Callback):
    """Writes config.yaml, and keeps the patience of early stopping as given: a checkpoint would restore its own."""

    def __init__(self, request: Request, folder: Path) -> None:
        self.request, self.folder = request, folder
        self.given: list[tuple[EarlyStopping, int]] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.given = [(each, each.patience) for each in trainer.early_stopping_callbacks]
        if stage == "fit" and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            settings = self.request.settings.clone()
            settings.ckpt_path = settings.best.dirpath = settings.last.dirpath = None
            atomic.write_text(self.folder / CONFIG, self.request.parser.dump(settings, skip_unset=False))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for callback, patience in self.given:
            callback.patience = patience


def _run(
    request: Request, trainer: pl.Trainer, module: pl.LightningModule, data: AudioDataModule, folder: Path
) -> None:
    """Fit or score. Errors that a user can fix are raised as UserError; the report of a fit shows the warnings."""
    fits, path = request.command == "fit", str(request.checkpoint) if request.checkpoint else None
    writes = fits and is_rank_zero() and not trainer.fast_dev_run  # type: ignore[attr-defined]
    try:
        with warnings_noted(folder) if writes else nullcontext(), float32_products(tf32=fits):
            if fits:
                before = checkpoints.read(request.checkpoint)["global_step"] if request.checkpoint else -1
                trainer.fit(module, data, ckpt_path=path, weights_only=True)
                _print_end(trainer, before)
                _validate_at_end(trainer, module, data)
            else:
                getattr(trainer, request.command)(module, data, ckpt_path=path, verbose=False)
    except BaseException as error:
        end_wandb(trainer.loggers, status=1)
        if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None  # which Lightning turns into an exit with status 1
        if isinstance(error, Exception) and (mistake := explained(error, trainer)):
            raise mistake from error
        raise
    end_wandb(trainer.loggers)


def _print_end(trainer: pl.Trainer, before: int) -> None:
    """Print why a fit ended, unless it made the steps that were asked for; it was resumed at the step `before`."""
    if trainer.global_step == before:
        rank_zero_only(print)("the run is finished: a larger --max_steps, --epochs or --minutes continues it")
    for callback in trainer.early_stopping_callbacks:
        if callback.stopped_epoch:
            rank_zero_only(print)(f"early stopping: {callback.stopping_reason_message}")


def _validate_at_end(trainer: pl.Trainer, module: pl.LightningModule, data: AudioDataModule) -> None:
    """Validate a run that `max_steps` ended between two validations, on no more samples than it was trained on."""
    measures = next(each for each in trainer.callbacks if isinstance(each, Measures))  # type: ignore[attr-defined]
    scored = measures.scored_at == trainer.global_step
    if (
        trainer.global_step != trainer.max_steps
        or scored
        or not (trainer.enable_validation and data.samples_to_validate)
    ):
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
    report = next(each for each in trainer.callbacks if isinstance(each, RunReport))  # type: ignore[attr-defined]
    if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
        report.write()
