"""The LightningDataModule: from recordings, built in, downloaded or one's own, to batches of crops."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.rank_zero import rank_zero_only

from sequnet_pl.audio.decode import Channel
from sequnet_pl.audio.files import SAMPLE_RATE
from sequnet_pl.data import sources, summary
from sequnet_pl.data.crops import Crops, Plan, check_weights, scoring_plan, training_plan, weighted_groups
from sequnet_pl.data.loader import CropLoader, Shard
from sequnet_pl.data.store import Split
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.models.network import Network, Window

log = logging.getLogger(__name__)


class AudioDataModule(pl.LightningDataModule):
    """Recordings as codes, cropped to the window of the network that trains.

    Args:
        dataset: `piano`, the published recordings, or `builtin`, a synthesised piano that needs no download.
        audio_dir: One or more folders of audio files instead, with `train/`, `val/`, `test/` in them or split by file.
        audio_weights: Sampling weights of several folders; None draws training crops in proportion to their hours.
        audio_list: Or a csv of audio files, with columns `path`, `split` and, for `labels`, `label`.
        recordings: Or a list of URLs or YouTube ids to download.
        builtin_takes: Renditions of each built-in piece in the train split; None is 2. Other splits do not change.
        data_dir: Folder in which recordings and their codes are stored.
        sample_rate: Sample rate in Hz to which recordings are converted.
        channel: Channel of stereo recordings: `mix` (the mean of both), `left` or `right`.
        loudness: Loudness in LUFS to which each recording is normalised; None changes nothing.
        skip_silence: Longest digital silence to keep, in seconds; None keeps all of it.
        store_workers: Processes that make or decode recordings; None takes as many as there are cores.
        split_time: Split each recording in time where its split is not given; None does so where there are one or
            two files, False never.
        labels: `folder` takes the label of a recording from the first folder below the split that it is in, or from the
            column `label` of `audio_list`. None trains without labels.
        output_size: Predicted samples per crop, rounded up to whole cycles of the network.
        batch_size: Crops per batch, in each process.
        hop_size: Samples of a recording for each training crop of an epoch.
        num_workers: Processes that load batches; 0 loads them in the training process.
        val_hours: Hours of validation recordings to use at most, spread evenly; None uses all.
        seed: Seed of the positions and the order of training crops.
    """

    def __init__(
        self,
        dataset: sources.Dataset = "piano",
        audio_dir: str | list[str] | None = None,
        audio_weights: list[float] | None = None,
        audio_list: str | None = None,
        recordings: str | None = None,
        builtin_takes: int | None = None,
        data_dir: str = "data",
        sample_rate: int = SAMPLE_RATE,
        channel: Channel = "mix",
        loudness: float | None = None,
        skip_silence: float | None = None,
        store_workers: int | None = None,
        split_time: bool | None = None,
        labels: sources.Labels = None,
        output_size: int = 5000,
        batch_size: int = 16,
        hop_size: int = 40_000,
        num_workers: int = 1,
        val_hours: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_weights(sources.folders_of(audio_dir), audio_weights)
        self.save_hyperparameters()
        for name in ("sample_rate", "output_size", "batch_size", "hop_size", "val_hours", "store_workers"):
            if (value := self.hparams[name]) is not None and value <= 0:
                raise UsageError(f"{name} is {value}, but must be more than 0")
        if num_workers < 0 or seed < 0:
            raise UsageError(f"num_workers is {num_workers} and seed {seed}, but neither can be below 0")
        self.batch_size = batch_size  # where Lightning's batch size finder looks
        self.splits: dict[str, Split] = {}
        self.most_validated = None if val_hours is None else round(val_hours * 3600 * sample_rate)
        """Samples that validation takes at most; None takes all."""
        self.fingerprint = ""
        """Short hash of what the recordings hold, from `setup` on."""
        self._shown = False  # whether the table of recordings was printed
        self._stored = StoredRecordings.of(self.hparams)
        self.store = self._stored.folder
        """The folder of the codes of these recordings under these options."""

    def keep_split(self, state: Mapping[str, Any]) -> None:
        """Use val and test of a checkpoint, whose state of this class is given; call it before `prepare_data`."""
        self._stored = replace(self._stored, held_out=self._stored.kept_names(state))

    def recording_labels(self, split: str) -> list[str]:
        """Return the label of each recording of a split, empty for none, from `setup` on."""
        return self._stored.recording_labels(split)

    def prepare_data(self) -> None:
        """Fetch the recordings, make or update the store of their codes, and print what it contains.

        A second call prints only changes. Raises UserError where there is nothing to learn from.
        """
        report = self._stored.make()
        if report.is_changed or (report.skipped and not self._shown):
            rank_zero_only(summary.show)(report, self.store)
            self._shown = True

    def setup(self, stage: str) -> None:
        """Open the store. Raises UserError where the split of the stage is empty."""
        if not self.splits:
            self.splits = self._stored.splits
            self.fingerprint = self._stored.fingerprint
        needed = {"fit": "train", "validate": "val", "test": "test"}.get(stage)
        if needed and not len(self.splits[needed].lengths):
            raise UserError(f"there are no recordings for this: the {needed} split of {self.store} is empty")
        if stage == "fit" and all(recording.silent == 1 for recording in self.splits["train"].recordings):
            rank_zero_only(log.warning)("the training recordings in %s hold nothing but silence", self.store)

    def train_dataloader(self) -> CropLoader:
        """Return random crops, others in each epoch; a pure function of (seed, epoch, index)."""
        split, window = self.splits["train"], self._network.window(self.hparams["output_size"])
        fixed = getattr(self.trainer, "overfit_batches", 0) > 0
        folders, weights = sources.folders_of(self.hparams["audio_dir"]), self.hparams["audio_weights"]
        groups = weighted_groups(split, folders, weights) if weights else None

        def plan(epoch: int) -> Plan:
            epoch = 0 if fixed else epoch
            hop, seed = self.hparams["hop_size"], self.hparams["seed"]
            return training_plan(split.lengths, window.outputs, hop, seed, epoch, groups)

        return self._loader(split, window, plan)

    def val_dataloader(self) -> CropLoader | list[CropLoader]:
        """Return every sample of the validation split once, or at most `most_validated` of them."""
        return self._scoring("val", self.most_validated)

    @property
    def samples_to_validate(self) -> int:
        """Samples that validation takes."""
        total = int(self.splits["val"].lengths.sum())
        return total if self.most_validated is None else min(total, self.most_validated)

    def test_dataloader(self) -> CropLoader | list[CropLoader]:
        """Return every sample of the test split once."""
        return self._scoring("test", None)

    def _scoring(self, name: str, most: int | None) -> CropLoader | list[CropLoader]:
        split = self.splits[name]
        if not len(split.lengths):
            return []  # Lightning then skips the loop
        window = self._network.scoring_window(self.hparams["output_size"])
        plan = scoring_plan(split.lengths, window.outputs, most)
        return self._loader(split, window, lambda epoch: plan, keeps_position=False)

    @property
    def _network(self) -> Network:
        assert self.trainer is not None
        network = self.trainer.lightning_module.network
        assert isinstance(network, Network)
        return network

    def _loader(
        self, split: Split, window: Window, plan: Callable[[int], Plan], keeps_position: bool = True
    ) -> CropLoader:
        assert self.trainer is not None
        shard = Shard(plan, self.batch_size, self.trainer.global_rank, self.trainer.world_size)
        on_gpu = self.trainer.strategy.root_device.type == "cuda"
        return CropLoader(Crops(split, *window), shard, self.hparams["num_workers"], on_gpu, keeps_position)

    def state_dict(self) -> dict[str, Any]:
        """Return what identifies the recordings, for the checkpoint."""
        in_time = any(recording.total_length for split in self.splits.values() for recording in split.recordings)
        identity = {"fingerprint": self.fingerprint, "store": self.store.name}
        return identity | {"split_time": in_time, "held_out": self._stored.names()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Log a warning where the recordings are not those of the checkpoint."""
        if state_dict["fingerprint"] != self.fingerprint:
            learnt, now = (state_dict["store"], state_dict["fingerprint"]), (self.store.name, self.fingerprint)
            message = "the checkpoint learnt from other recordings (%s, %s) than these (%s, %s)"
            rank_zero_only(log.warning)(message, *learnt, *now)
