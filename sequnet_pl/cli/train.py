"""train.py: LightningCLI with short names, run folders, and one line for what is wrong."""

import sys
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jsonargparse import Namespace
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import LearningRateMonitor, Timer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from sequnet_pl.cli import arguments, init_from, run_folder
from sequnet_pl.cli.going_on import agree
from sequnet_pl.cli.launched import first_process, tie_to_launcher
from sequnet_pl.cli.loader import use_yaml
from sequnet_pl.cli.numbers import check_numbers
from sequnet_pl.cli.one_line import keep_text
from sequnet_pl.cli.quiet import hush
from sequnet_pl.cli.run_config import SaveRunConfig
from sequnet_pl.cli.run_name import new_name
from sequnet_pl.cli.run_options import LOGGERS, add_run_options
from sequnet_pl.cli.threads import use_threads
from sequnet_pl.cli.train_parser import TrainParser
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError
from sequnet_pl.models.precision import float32_products
from sequnet_pl.names import CLASS_PATHS
from sequnet_pl.project import command
from sequnet_pl.report.card import told_checkpoint
from sequnet_pl.report.metrics import Metrics
from sequnet_pl.report.run_folder import REPORT
from sequnet_pl.training import checkpoints
from sequnet_pl.training.averaging import ScoredEMA  # noqa: F401 (a name on the command line)
from sequnet_pl.training.checkpoint_io import WholeCheckpointIO
from sequnet_pl.training.failures import explained, said_by_a_library
from sequnet_pl.training.health import Advice
from sequnet_pl.training.loggers import AppendingCSVLogger, can_log_to, end_wandb, wandb_logger
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.module import AudioModule
from sequnet_pl.training.progress import AudioProgressBar, Throughput  # noqa: F401 (a name on the command line)
from sequnet_pl.training.reporting import RunReport, warnings_noted
from sequnet_pl.training.rows import FirstAndLastRows
from sequnet_pl.training.scores import PAGE as SCORES
from sequnet_pl.training.scores import ScoreReport


def train(argv: list[str]) -> int:
    """The whole of train.py but its help; what is not the user's to mend is raised."""
    again = "--ckpt_path=auto" in argv or ("--ckpt_path", "auto") in pairwise(argv)
    sys.argv[1:] = arguments.rewrite(argv)  # processes that Lightning launches see the rewritten line
    tie_to_launcher()
    hush()
    use_yaml()
    TrainCLI(
        AudioModule,
        AudioDataModule,
        SaveRunConfig,
        trainer_defaults={
            "callbacks": [FirstAndLastRows(), LearningRateMonitor(), Measures(), AudioProgressBar(), Advice()],
            "use_distributed_sampler": False,  # the loaders shard without repeats
            "num_sanity_val_steps": 0,
            "logger": False,  # see --logger
            "enable_model_summary": False,  # a line says what there is to say
            "devices": 1,
        },
        seed_everything_default=0,
        parser_class=TrainParser,
        parser_kwargs={"allow_abbrev": False},  # whole names alone can be looked up
        subclass_mode_model=True,
        auto_configure_optimizers=False,
        again=again,
    )
    return 0


class TrainCLI(LightningCLI):
    """LightningCLI with run folders `<log_dir>/<model>/<name>`.

    Args:
        again: Whether a run that has no checkpoint yet may begin again in its folder.
    """

    def __init__(self, *args: Any, again: bool, **kwargs: Any) -> None:
        self._again = again
        self.claim: run_folder.Claim | None = None
        try:
            super().__init__(*args, **kwargs)
        except BaseException:
            trainer = getattr(self, "trainer", None)
            if self.claim and not (trainer and trainer.global_step):
                self.claim.withdraw()
                self.claim = None
            raise
        finally:
            if self.claim:
                self.claim.release()

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        keep_text(parser)
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Options of a run, and the callbacks that every run has."""
        add_run_options(parser)

    def _parse_ckpt_path(self) -> None:
        """Raise where flags contradict the checkpoint, whose hyper-parameters would else silently win."""
        config = self.config[self.config.subcommand]
        if config.ckpt_path:
            agree(config, Path(config.ckpt_path), fit=self.config.subcommand == "fit")

    def before_instantiate_classes(self) -> None:
        """Settle the run folder."""
        config = self.config[str(self.subcommand)]
        if config.logger not in LOGGERS:
            raise UsageError(f"there is no logger {config.logger}: choose {', '.join(LOGGERS)}")
        if config.trainer.logger:
            raise UsageError(f"--trainer.logger has no use here: --logger chooses among {', '.join(LOGGERS)}")
        network = next(name for name, known in CLASS_PATHS.items() if known == config.model.class_path)
        check_numbers(config, str(self.subcommand))
        if config.threads is not None:
            use_threads(config.threads)
        if first_process():
            StoredRecordings.of(config.data.as_dict()).check()  # before a network is built for them
        root = Path(config.log_dir)
        root = root if root.name == network else root / network
        snapshots = Path(config.snapshot_dir) if config.snapshot_dir else None
        run = config.ckpt_path and checkpoints.run_of_checkpoint(Path(config.ckpt_path), Path(config.log_dir))
        if self.subcommand == "fit":
            self._settle(config, root, snapshots, run or None)
        else:
            config.verbose = False  # ScoreReport says it better
            self.run_folder = run.folder if run else Path(config.ckpt_path).parent
        config.best.dirpath = config.last.dirpath = str(snapshots or self.run_folder / "checkpoints")

    def _settle(self, config: Namespace, root: Path, snapshots: Path | None, run: checkpoints.Run | None) -> None:
        """Claim the folder of a fit, under the name that it has or gets here."""
        writes = first_process() and not config.trainer.fast_dev_run
        if run and run_folder.is_same(run, root, config.log_dir, config.name):
            self.run_folder = run.folder
            if writes:
                self.claim = run_folder.go_on(run.folder, snapshots or run.folder / "checkpoints")
            return
        name = config.name or new_name(config.trainer.num_nodes)
        self.run_folder = root / name
        if writes:
            self.claim = run_folder.begin(root, name, snapshots, made_up=not config.name, again=self._again)
            self.run_folder = self.claim.folder
        if not config.name:
            sys.argv.append(f"--name={self.run_folder.name}")  # for the processes that Lightning launches

    def instantiate_classes(self) -> None:
        """Say in one line what Lightning and W&B find wrong with settings."""
        try:
            super().instantiate_classes()
        except Exception as error:
            if mistake := said_by_a_library(error):
                raise mistake from error
            raise

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The trainer, with the run's loggers."""
        config = self.config[str(self.subcommand)]
        root, network, name = self.run_folder.parent.parent, self.run_folder.parent.name, self.run_folder.name
        loggers: list[Logger] = []
        if self.subcommand == "fit" and not config.trainer.precision and _computes_bfloat16(config):
            kwargs["precision"] = config.gpu_precision
        if self.subcommand == "fit":  # Lightning takes none of them for a fast_dev_run
            loggers = [AppendingCSVLogger(str(root), network, name)]
            logger = config.logger if can_log_to(self.run_folder) else "none"
            if logger == "wandb" and first_process() and not config.trainer.fast_dev_run:
                wandb = wandb_logger(self.run_folder, f"{network}-{name}", network)
                loggers += [wandb] if wandb else []
            if logger == "tensorboard":
                loggers.append(TensorBoardLogger(str(root), network, name, default_hp_metric=False))
        given = config.trainer.plugins or []
        plugins = [*(given if isinstance(given, list) else [given]), WholeCheckpointIO()]
        if config.trainer.enable_progress_bar is False:  # which Lightning takes as said of its own bar alone
            ours = self.trainer_defaults["callbacks"]
            self.trainer_defaults["callbacks"] = [each for each in ours if not isinstance(each, AudioProgressBar)]
        if config.trainer.accelerator == "auto":  # one GPU if there is one, never what knows no float64
            kwargs["accelerator"] = "gpu" if torch.cuda.is_available() else "cpu"
        trainer = super().instantiate_trainer(logger=loggers, plugins=plugins, **kwargs)
        self._report = RunReport(self.run_folder, Path(config.last.dirpath), config.log_model)
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        callbacks += [ScoreReport(self.run_folder), self._report]
        # --trainer.max_time's says whether a step is the last one
        callbacks.sort(key=lambda each: (not isinstance(each, Timer), not isinstance(each, FirstAndLastRows)))
        return trainer

    def after_instantiate_classes(self) -> None:
        """Say what runs, on what, and where."""
        network, accelerator = self.model.network, type(self.trainer.accelerator).__name__.removesuffix("Accelerator")
        count = sum(parameter.numel() for parameter in network.parameters())
        rank_zero_only(print)(
            f"{self.subcommand} {type(network).__name__}: {count:,} parameters, receptive field "
            f"{network.receptive_field:,} samples, on {self.trainer.num_devices} {accelerator}, in {self.run_folder}"
        )
        config = self.config[str(self.subcommand)]
        if self.subcommand == "fit" and config.init_from and not config.ckpt_path:
            shape: dict[str, Any] = config.model.init_args
            trained = init_from.take_weights(Path(config.init_from), network, shape.get("layers"))
            self._report.begun_from = {"path": str(trained.path), "step": trained.step, "weights": trained.digest}
            rank_zero_only(print)(f"begins with the weights of {trained.path}, step {trained.step:,}")

    def _run_subcommand(self, subcommand: str) -> None:
        """Say in one line what a user can do something about; the report of a fit shows what was warned of."""
        writes = subcommand == "fit" and first_process() and not self.trainer.fast_dev_run  # type: ignore[attr-defined]
        try:
            with (
                warnings_noted(self.run_folder) if writes else nullcontext(),
                float32_products(tf32=subcommand == "fit"),
            ):
                super()._run_subcommand(subcommand)
        except BaseException as error:
            end_wandb(self.trainer.loggers, status=1)
            if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None  # which Lightning makes an exit with status 1
            if isinstance(error, Exception) and (mistake := explained(error, self.trainer)):
                raise mistake from error
            raise

    def after_fit(self) -> None:
        """Say where the results are."""
        if self.config.fit.trainer.fast_dev_run:
            return
        end_wandb(self.trainer.loggers)
        folder = Path(self.config.fit.last.dirpath)
        words = ["test", "--ckpt_path", told_checkpoint(folder, Metrics(self.run_folder))]
        if self.config.fit.snapshot_dir:
            words += ["--log_dir", self.config.fit.log_dir]  # where the run's settings are found
        test = command("train", *words)
        rank_zero_only(print)(f"report: {self.run_folder / REPORT}\ncheckpoints in {folder}; test with: {test}")

    def after_test(self) -> None:
        """Say where the scores are told in detail."""
        rank_zero_only(print)(f"in detail: {self.run_folder / SCORES}")


def _computes_bfloat16(config: Namespace) -> bool:
    """Whether the run has a GPU that does so by itself."""
    on_gpu = config.trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
