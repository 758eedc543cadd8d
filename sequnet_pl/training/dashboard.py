"""What loggers show beside curves: settings, the best scores, clips in a table, codes, the best checkpoint.

All is called by the process that writes, which alone has a W&B run.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from matplotlib.figure import Figure
from matplotlib.image import imread
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.report.charts import codes_figure
from sequnet_pl.report.run_folder import SampledClip, Sampling

_COLUMNS = ("clip", "from", "prompt", "temperature", "audio", "spectrogram", "bits per sample", "warnings")
_REAL = ("recording", "spectrogram of the recording", "bits per sample of the recording")


def begin(loggers: Iterable[Logger], settings: Mapping[str, Any]) -> None:
    """Tell W&B the settings of a run, which scores are best when they are low, and what charts can be drawn over."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_hyperparams(dict(settings))
            for name in ("hours_heard", "wall_hours"):
                logger.experiment.define_metric(name, summary="max")
            for name in ("train/bits_per_sample", "val/bits_per_sample"):
                logger.experiment.define_metric(
                    name, step_metric="trainer/global_step", step_sync=True, summary="min,last"
                )


def log_sampling(loggers: Iterable[Logger], sampling: Sampling, folder: Path) -> None:
    """Log the clips in a folder and the histogram of codes to the loggers that take them."""
    for logger in loggers:
        codes = codes_figure(sampling.real_codes, sampling.generated_codes)
        if isinstance(logger, WandbLogger):
            # one call for all media of a step, without `step=`, which would fight with the logger's own
            logger.experiment.log(_wandb_media(sampling, folder, codes) | {"trainer/global_step": sampling.step})
        if isinstance(logger, TensorBoardLogger):
            board = logger.experiment
            for clip in sampling.clips:
                with (folder / f"{clip.name}.wav").open("rb") as file:
                    samples, rate = soundfile.read(file, dtype="float32")
                board.add_audio(f"samples/{clip.name}", samples[None], sampling.step, rate)
                picture = imread(folder / f"{clip.name}.png")
                board.add_image(f"spectrograms/{clip.name}", picture, sampling.step, dataformats="HWC")
                if clip.bits_per_sample is not None:
                    board.add_scalar(f"likelihood/{clip.name}", clip.bits_per_sample, sampling.step)
            board.add_figure("samples/codes", codes, sampling.step)


def _wandb_media(sampling: Sampling, folder: Path, codes: Figure) -> dict[str, Any]:
    import wandb  # slow to import, and not everybody logs with it

    def media(clip: SampledClip) -> tuple[Any, Any]:
        audio = wandb.Audio(str(folder / f"{clip.name}.wav"), caption=clip.name)
        return audio, wandb.Image(str(folder / f"{clip.name}.png"), caption=clip.name)

    found: dict[str, Any] = {}
    for clip in sampling.clips:
        found[f"samples/{clip.name}"], found[f"spectrograms/{clip.name}"] = media(clip)
        if clip.bits_per_sample is not None:
            found[f"likelihood/{clip.name}"] = clip.bits_per_sample
    real = {clip.source: clip for clip in sampling.clips if clip.kind == "recording"}
    rows = []
    for clip in sampling.clips:
        if clip.kind == "recording":
            continue
        audio, picture = media(clip)
        row = [clip.name, clip.source, clip.border, clip.temperature, audio, picture, clip.bits_per_sample]
        follows = real.get(clip.source)
        rows.append(
            [*row, ", ".join(clip.flags), *((*media(follows), follows.bits_per_sample) if follows else (None,) * 3)]
        )
    edges = np.arange(CLASSES + 1)
    return found | {
        "samples/table": wandb.Table(columns=[*_COLUMNS, *_REAL], data=rows),
        "samples/codes": wandb.Image(codes),
        "samples/codes_real": wandb.Histogram(np_histogram=(np.array(sampling.real_codes), edges)),
        "samples/codes_generated": wandb.Histogram(np_histogram=(np.array(sampling.generated_codes), edges)),
    }


def log_checkpoint(loggers: Iterable[Logger], files: Iterable[Path]) -> None:
    """Log the best checkpoint, and what lies beside it, as a W&B artifact."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            artifact = wandb.Artifact(f"best-{logger.experiment.id}", type="model")
            for path in files:
                artifact.add_file(str(path))
            logger.experiment.log_artifact(artifact, aliases=["best"])
