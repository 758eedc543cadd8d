"""The LightningDataModule: from recordings, built in, downloaded or one's own, to batches of crops."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.data import piano_synth
from sequnet_pl.data.crops import Crops, Plan, scoring_plan, training_plan
from sequnet_pl.data.loader import CropLoader, Shard
from sequnet_pl.data.splits import split_folder
from sequnet_pl.data.store import Split, fingerprint, make_store, open_split
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network, Window

log = logging.getLogger(__name__)


class AudioDataModule(pl.LightningDataModule):
    """Recordings as codes, cropped to the window of the network that trains.

    Args:
        dataset: `piano`, the published recordings, or `builtin`, a synthesised piano that needs no download.
        audio_dir: A folder of audio files instead; with `train/`, `val/`, `test/` in it or split by file.
        data_dir: Where recordings and their codes are kept.
        sample_rate: Samples a second that recordings are converted to.
        output_size: Targets a crop; rounded up to whole cycles of the network.
        batch_size: Crops a batch and process.
        hop_size: One training crop an epoch for every so many samples of a recording.
        num_workers: Processes that gather batches; 0 gathers in the training process.
        val_hours: Validate on no more than so many hours, spread evenly; None takes all.
        seed: Of the positions and order of training crops.
    """

    def __init__(
        self,
        dataset: Literal["piano", "builtin"] = "piano",
        audio_dir: str | None = None,
        data_dir: str = "data",
        sample_rate: int = SAMPLE_RATE,
        output_size: int = 5000,
        batch_size: int = 16,
        hop_size: int = 40_000,
        num_workers: int = 1,
        val_hours: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        positive = {"sample_rate": sample_rate, "output_size": output_size, "batch_size": batch_size}
        for name, value in (positive | {"hop_size": hop_size, "val_hours": val_hours}).items():
            if value is not None and value <= 0:
                raise UsageError(f"{name} is {value}, but must be more than 0")
        if num_workers < 0 or seed < 0:
            raise UsageError(f"num_workers is {num_workers} and seed {seed}, but neither can be below 0")
        self.save_hyperparameters()
        self.batch_size = batch_size  # where Lightning's batch size finder looks
        self.splits: dict[str, Split] = {}

    @property
    def store(self) -> Path:
        """The folder of the codes of these recordings at this rate."""
        source = (
            str(Path(self.hparams["audio_dir"]).resolve()) if self.hparams["audio_dir"] else self.hparams["dataset"]
        )
        digest = hashlib.sha256(f"{source}\n{self.hparams['sample_rate']}".encode()).hexdigest()[:8]
        return Path(self.hparams["data_dir"]) / "codes" / f"{Path(source).name}-{digest}"

    def prepare_data(self) -> None:
        """Make the store of codes, or bring it up to date. UserError where there is nothing to learn from."""
        make_store(self._files(), self.store, self.hparams["sample_rate"])

    def _files(self) -> Mapping[str, Sequence[Path]]:
        recordings = Path(self.hparams["data_dir"]) / "recordings"
        if self.hparams["audio_dir"]:
            return split_folder(Path(self.hparams["audio_dir"]))
        if self.hparams["dataset"] == "builtin":
            return piano_synth.write_recordings(recordings / "builtin", self.hparams["sample_rate"])
        if not (recordings / "train").is_dir():
            raise UserError(
                f"the piano recordings are not in {recordings}; name a folder of your own with --audio_dir FOLDER, "
                "or take the built-in recordings with --dataset builtin"
            )
        return split_folder(recordings)

    def setup(self, stage: str) -> None:
        """Open the store; the window is that of the network that the trainer holds."""
        if not self.splits:
            self.splits = {name: open_split(self.store, name) for name in ("train", "val", "test")}
        needed = {"fit": "train", "validate": "val", "test": "test"}.get(stage)
        if needed and not len(self.splits[needed].lengths):
            raise UserError(f"there are no recordings to {stage} on: the {needed} split of {self.store} is empty")

    @property
    def fingerprint(self) -> str:
        """Short hash of what the recordings hold."""
        return fingerprint(self.store)

    def train_dataloader(self) -> CropLoader:
        """Random crops, other ones each epoch; a pure function of (seed, epoch, index)."""
        split, outputs = self.splits["train"], self._window.outputs
        fixed = getattr(self.trainer, "overfit_batches", 0) > 0

        def plan(epoch: int) -> Plan:
            epoch = 0 if fixed else epoch
            return training_plan(split.lengths, outputs, self.hparams["hop_size"], self.hparams["seed"], epoch)

        return self._loader(split, plan)

    def val_dataloader(self) -> CropLoader | list[CropLoader]:
        """Every sample of the validation split once, or as many as `val_hours` says."""
        hours = self.hparams["val_hours"]
        return self._scoring("val", None if hours is None else round(hours * 3600 * self.hparams["sample_rate"]))

    def test_dataloader(self) -> CropLoader | list[CropLoader]:
        """Every sample of the test split once."""
        return self._scoring("test", None)

    def _scoring(self, name: str, most: int | None) -> CropLoader | list[CropLoader]:
        split = self.splits[name]
        if not len(split.lengths):
            return []  # Lightning then skips the loop
        plan = scoring_plan(split.lengths, self._window.outputs, most)
        return self._loader(split, lambda epoch: plan)

    @property
    def _window(self) -> Window:
        assert self.trainer is not None
        network = self.trainer.lightning_module.network
        assert isinstance(network, Network)
        return network.window(self.hparams["output_size"])

    def _loader(self, split: Split, plan: Callable[[int], Plan]) -> CropLoader:
        assert self.trainer is not None
        shard = Shard(plan, self.batch_size, self.trainer.global_rank, self.trainer.world_size)
        crops = Crops(split, *self._window)
        return CropLoader(crops, shard, self.hparams["num_workers"], pin_memory=torch.cuda.is_available())

    def state_dict(self) -> dict[str, Any]:
        """What the recordings were, for the checkpoint."""
        return {"fingerprint": self.fingerprint, "store": self.store.name}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Warn where the recordings are others than those of the checkpoint."""
        if state_dict["fingerprint"] != self.fingerprint:
            log.warning(
                "the checkpoint learnt from other recordings (%s, %s) than these (%s, %s)",
                state_dict["store"],
                state_dict["fingerprint"],
                self.store.name,
                self.fingerprint,
            )
