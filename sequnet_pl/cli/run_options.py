"""Options of train.py that are neither the network's, the recordings' nor the trainer's: those of a run."""

from pytorch_lightning.cli import LightningArgumentParser

from sequnet_pl.training.best import BestCheckpoint
from sequnet_pl.training.health import NonFinite
from sequnet_pl.training.sampling import SampleAudio
from sequnet_pl.training.saving import LastCheckpoint

LOGGERS = ("wandb", "tensorboard", "none")


def add_run_options(parser: LightningArgumentParser) -> None:
    """Where a run lies and begins, what it logs to, and the callbacks that every run has."""
    parser.add_argument("--log_dir", type=str, default="logs", help="Root of the run folders.")
    parser.add_argument("--name", type=str, default="", help="Name of the run; date and time by default.")
    parser.add_argument("--snapshot_dir", type=str | None, default=None, help="Instead of the run's checkpoints/.")
    parser.add_argument("--threads", type=int | None, default=None, help="CPU threads of each process.")
    parser.add_argument("--init_from", type=str | None, default=None, help="Begin with these weights.")
    parser.add_argument("--logger", type=str, default="wandb", help=f"Beside the CSV file: {', '.join(LOGGERS)}.")
    parser.add_argument("--log_model", type=bool, default=False, help="Give W&B the best checkpoint at the end.")
    parser.add_argument(
        "--gpu_precision",
        type=str | None,
        default=None,
        help="Precision of a fit on a GPU that computes in bfloat16, unless --precision says another.",
    )
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
