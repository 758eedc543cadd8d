"""train.py: LightningCLI with short names, run folders, and one line for what is wrong."""

import logging
import os
import re
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from sequnet_pl import atomic
from sequnet_pl.cli import arguments
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.errors import UsageError
from sequnet_pl.names import CLASS_PATHS
from sequnet_pl.report.run import PAGE
from sequnet_pl.training import checkpoints
from sequnet_pl.training.averaging import ScoredEMA  # noqa: F401 (a name on the command line)
from sequnet_pl.training.checkpoint_io import WholeCheckpointIO
from sequnet_pl.training.failures import explained
from sequnet_pl.training.health import Advice, NonFinite
from sequnet_pl.training.loggers import AppendingCSVLogger, wandb_logger
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.module import REVISABLE, AudioModule
from sequnet_pl.training.progress import AudioProgressBar, Throughput  # noqa: F401 (a name on the command line)
from sequnet_pl.training.reporting import RunReport, warnings_noted
from sequnet_pl.training.sampling import SampleAudio
from sequnet_pl.training.saving import BestCheckpoint, LastCheckpoint
from sequnet_pl.training.scores import PAGE as SCORES
from sequnet_pl.training.scores import ScoreReport

LOGGERS = ("wandb", "tensorboard", "none")


def train(argv: list[str]) -> int:
    """The whole of train.py but its help; what is not the user's to mend is raised."""
    sys.argv[1:] = arguments.rewrite(argv)  # processes that Lightning launches see the rewritten line
    _quiet()
    TrainCLI(
        AudioModule,
        AudioDataModule,
        SaveRunConfig,
        trainer_defaults={
            "callbacks": [LearningRateMonitor(), Measures(), AudioProgressBar(), Advice()],
            "use_distributed_sampler": False,  # the loaders shard without repeats
            "num_sanity_val_steps": 0,
            "logger": False,  # see --logger
            "enable_model_summary": False,  # a line says what there is to say
        },
        seed_everything_default=0,
        parser_class=OneLineParser,
        subclass_mode_model=True,
        auto_configure_optimizers=False,
    )
    return 0


def _quiet() -> None:
    """Silence what Lightning says that is of no use here; each with its reason."""
    messages = (
        "does not have many workers",  # one process gathers thousands of crops a second
        "exists and is not empty",  # a resumed run goes on in its folder
        "could not find the monitored key",  # no validation, which has been said
        "treespec, LeafSpec",  # between Lightning and torch
        "number of training batches .* is smaller than the logging interval",
        "You defined a `validation_step` but have no `val_dataloader`",
        "Total length of `.*` across ranks is zero",
        # those that save read the folder instead, and are called after their settings
        r'Be aware .* callbacks: \[("(Model|Best|Last)Checkpoint\{[^"]*"(, )?)+\]',
    )
    for message in messages:
        warnings.filterwarnings("ignore", message=f".*{message}")
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
        lambda record: not re.search(r"litlogger|litmodels|Tip:", record.getMessage())
    )


class OneLineParser(LightningArgumentParser):
    """Says what is wrong in one line, instead of usage and all."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """See jsonargparse. Always raises UsageError."""
        if found := re.search(r"[Uu]nrecognized arguments: --([\w.]+)", message):
            known = [option[2:] for option in self._option_string_actions if option.startswith("--")]
            raise UsageError(arguments.unknown_flag(found[1], known)) from ex
        if found := re.findall(r'Parser key "([\w.]+)":\s+(Expected [^\n]*?)\.?\s+Got value: (\S+)', message):
            name, expected, value = found[-1]
            raise UsageError(f"--{name} {value}: {expected.lower()}") from ex
        raise UsageError(" ".join(message.split())) from ex


class SaveRunConfig(SaveConfigCallback):
    """Writes the resolved config.yaml of a fit to its run folder: all that it takes to go on."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """See SaveConfigCallback; scoring a checkpoint leaves the config of its training as it is."""
        folder = trainer.log_dir  # all processes ask, for it is sent to all
        if stage == "fit" and trainer.is_global_zero and folder and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            settings = self.config.clone()
            settings.pop("ckpt_path", None)
            text = self.parser.dump(settings, skip_none=False)
            atomic.write_text(Path(folder) / self.config_filename, text)


class TrainCLI(LightningCLI):
    """LightningCLI with run folders `<log_dir>/<model>/<name>`."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Options of a run, and the callbacks that every run has."""
        parser.add_argument("--log_dir", type=str, default="logs", help="Root of the run folders.")
        parser.add_argument("--name", type=str, default="", help="Name of the run; date and time by default.")
        parser.add_argument("--snapshot_dir", type=str | None, default=None, help="Instead of the run's checkpoints/.")
        parser.add_argument("--logger", type=str, default="wandb", help=f"Beside the CSV file: {', '.join(LOGGERS)}.")
        parser.add_argument("--log_model", type=bool, default=False, help="Give W&B the best checkpoint at the end.")
        parser.add_lightning_class_args(BestCheckpoint, "best")
        parser.set_defaults(
            {
                "best.monitor": "val/bits_per_sample",
                "best.filename": "best-step{step:08d}",
                "best.auto_insert_metric_name": False,
                "best.enable_version_counter": False,  # a step that is done again has the same name
            }
        )
        parser.add_lightning_class_args(LastCheckpoint, "last")
        parser.add_lightning_class_args(SampleAudio, "sample_audio")
        parser.add_lightning_class_args(NonFinite, "nonfinite")

    def _parse_ckpt_path(self) -> None:
        """Raise where flags contradict the checkpoint, whose hyper-parameters would else silently win."""
        config = self.config[self.config.subcommand]
        if not (path := config.ckpt_path):
            return
        content = checkpoints.read(Path(path))
        model = config.model
        if CLASS_PATHS[checkpoints.network_name(content, Path(path))] != model.class_path:
            raise UsageError(f"{path} is not a checkpoint of {model.class_path}; leave --model out")
        run = checkpoints.run_of_checkpoint(Path(path), Path(config.log_dir))
        own = run.settings["model"].get("init_args", {}) if run else {}
        for name, value in checkpoints.hyper_parameters(content).items():
            if name in REVISABLE:
                continue
            given = model.init_args.get(name, value)
            if given not in (value, own.get(name, value)):
                raise UsageError(f"--{name} {given}, but {path} has {name} {value}; leave --{name} out")
            if name in model.init_args:
                model.init_args[name] = value  # where the run has found a better one, as for the learning rate

    def before_instantiate_classes(self) -> None:
        """Settle the run folder."""
        config = self.config[str(self.subcommand)]
        if config.logger not in LOGGERS:
            raise UsageError(f"there is no logger {config.logger}: choose {', '.join(LOGGERS)}")
        network = next(name for name, known in CLASS_PATHS.items() if known == config.model.class_path)
        root = Path(config.log_dir)
        root = root if root.name == network else root / network
        self.run_folder = root / config.name
        snapshots = Path(config.snapshot_dir) if config.snapshot_dir else self.run_folder / "checkpoints"
        config.best.dirpath = config.last.dirpath = str(snapshots)
        if config.best.save_top_k < 0:
            raise UsageError(f"--keep {config.best.save_top_k}, but the number of best checkpoints cannot be below 0")
        if self.subcommand in ("test", "validate"):
            config.verbose = False  # ScoreReport says it better
        if self.subcommand == "fit":
            if not config.ckpt_path and (snapshots / checkpoints.LAST).exists() and _first_process():
                raise UsageError(
                    f"{snapshots / checkpoints.LAST} exists: --ckpt_path last goes on from there, "
                    "another --name or --snapshot_dir begins anew"
                )
            atomic.make_folder(snapshots)
            atomic.make_folder(self.run_folder)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The trainer, with the run's loggers."""
        config = self.config[str(self.subcommand)]
        root, network, name = self.run_folder.parent.parent, self.run_folder.parent.name, self.run_folder.name
        loggers: list[Logger] = []
        if self.subcommand == "fit":  # Lightning takes none of them for a fast_dev_run
            loggers = [AppendingCSVLogger(str(root), network, name)]
            if config.logger == "wandb" and _first_process() and not config.trainer.fast_dev_run:
                loggers.append(wandb_logger(self.run_folder, f"{network}-{name}", network))
            if config.logger == "tensorboard":
                loggers.append(TensorBoardLogger(str(root), network, name, default_hp_metric=False))
        try:
            given = config.trainer.plugins or []
            plugins = [*(given if isinstance(given, list) else [given]), WholeCheckpointIO()]
            trainer = super().instantiate_trainer(logger=loggers, plugins=plugins, **kwargs)
        except (MisconfigurationException, ValueError) as error:
            raise UsageError(" ".join(str(error).split())) from error
        report = RunReport(self.run_folder, Path(config.last.dirpath), config.log_model)
        trainer.callbacks += [ScoreReport(self.run_folder), report]  # type: ignore[attr-defined]
        return trainer

    def after_instantiate_classes(self) -> None:
        """Say what runs, on what, and where."""
        network, accelerator = self.model.network, type(self.trainer.accelerator).__name__.removesuffix("Accelerator")
        count = sum(parameter.numel() for parameter in network.parameters())
        rank_zero_only(print)(
            f"{self.subcommand} {type(network).__name__}: {count:,} parameters, receptive field "
            f"{network.receptive_field:,} samples, on {self.trainer.num_devices} {accelerator}, in {self.run_folder}"
        )

    def _run_subcommand(self, subcommand: str) -> None:
        """Say in one line what a user can do something about; the report of a fit shows what was warned of."""
        writes = subcommand == "fit" and _first_process() and not self.trainer.fast_dev_run  # type: ignore[attr-defined]
        try:
            with warnings_noted(self.run_folder) if writes else nullcontext():
                super()._run_subcommand(subcommand)
        except Exception as error:
            if mistake := explained(error, self.trainer):
                raise mistake from error
            raise

    def after_fit(self) -> None:
        """Say where the results are."""
        if self.config.fit.trainer.fast_dev_run:
            return
        rank_zero_only(print)(
            f"report: {self.run_folder / PAGE}\n"
            f"checkpoints in {self.config.fit.last.dirpath}; test with: train.py test --ckpt_path last"
        )

    def after_test(self) -> None:
        """Say where the scores are told in detail."""
        rank_zero_only(print)(f"in detail: {self.run_folder / SCORES}")


def _first_process() -> bool:
    """Whether this is the process of a run that writes, before the trainer could say."""
    return getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"


def set_float32_precision() -> None:
    """Let GPUs use their tensor cores for float32 matrix products."""
    torch.set_float32_matmul_precision("high")
