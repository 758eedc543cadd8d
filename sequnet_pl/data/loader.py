"""Batches of crops: a distributed sampler without repeats, and a position in the epoch that a checkpoint keeps."""

import time
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from sequnet_pl.data.crops import EMPTY, Batch, Crops, Plan
from sequnet_pl.processes import end_with_parent, shielded

_FIRST = 100  # priority at exit: before the queues close, which ends workers


class Shard(Sampler[Plan]):
    """Distributed batch sampler: each process has every `ranks`-th crop of `ranks * batch_size` consecutive ones.

    All processes have the same number of batches of the same size: the last batch is filled up with empty crops, whose
    targets do not count.
    """

    def __init__(self, plan: Callable[[int], Plan], batch_size: int, rank: int, ranks: int) -> None:
        self.plan, self.batch_size, self.rank, self.ranks = plan, batch_size, rank, ranks
        self.epoch = 0
        self.batches_done = 0  # in this epoch: those yielded, not those prefetched
        self._crops = len(plan(0))  # the same in every epoch

    @property
    def sampler(self) -> "Shard":
        """The sampler itself: Lightning looks here for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Start an epoch, unless it is the present one."""
        if epoch != self.epoch:
            self.epoch, self.batches_done = epoch, 0

    def __len__(self) -> int:
        return -(-self._crops // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[Plan]:
        """Yield the remaining batches of the epoch."""
        plan = self.plan(self.epoch)
        size = self.batch_size * self.ranks
        for batch in range(self.batches_done, len(self)):
            crops = plan[batch * size : (batch + 1) * size]
            filled = np.concatenate([crops, np.full((-len(crops) % self.ranks, 2), EMPTY)])
            yield filled[self.rank :: self.ranks]


class CropLoader(DataLoader[Batch]):
    """A DataLoader whose position is saved and restored: it resumes at the next batch, with any number of workers.

    One that does not keep its position starts again at the first batch, also after an iteration that was not completed.
    """

    def __init__(self, crops: Crops, shard: Shard, workers: int, pin_memory: bool, keeps_position: bool = True) -> None:
        super().__init__(
            crops,  # type: ignore[arg-type]
            batch_sampler=shard,  # type: ignore[arg-type]
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=_unchanged,  # type: ignore[arg-type]
            worker_init_fn=_start_worker,
            pin_memory=pin_memory,
            # its own, so that resuming in the middle of an epoch draws no number of the training's
            generator=torch.Generator(),
        )
        self.shard, self._keeps_position = shard, keeps_position
        self.waited = 0.0  # seconds in all for which the trainer waited for batches

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        # a generator, so that nothing is read before Lightning has set the epoch
        if not self._keeps_position:
            self.shard.batches_done = 0
        elif self.shard.batches_done >= len(self.shard):
            self.shard.set_epoch(self.shard.epoch + 1)
        asked = time.monotonic()
        with shielded():  # a run that ends on a signal needs its workers until it has saved
            batches = super().__iter__()
        if self.num_workers:  # at exit Python ends them by a signal that they ignore, and waits
            Finalize(None, _end_workers, (weakref.ref(batches),), exitpriority=_FIRST)
        for batch in batches:
            self.waited += time.monotonic() - asked
            self.shard.batches_done += 1
            yield batch
            asked = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Return the position, as plain numbers."""
        shard = self.shard
        return {"epoch": shard.epoch, "batches_done": shard.batches_done, "batch_size": shard.batch_size * shard.ranks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume at a saved position; where the batch size has changed, at the first batch not wholly seen."""
        self.shard.epoch = state["epoch"]
        size = self.shard.batch_size * self.shard.ranks
        self.shard.batches_done = state["batches_done"] * state["batch_size"] // size


def _end_workers(found: Callable[[], Any]) -> None:
    """End the workers of an iterator that still exists, such as that of an interrupted validation.

    DataLoader has no public way to end its workers; it does this itself when its iterator is deleted.
    """
    if iterator := found():
        iterator._shutdown_workers()
        for worker in iterator._workers:
            worker.kill()  # one that a slow disk holds


def _start_worker(worker: int) -> None:
    end_with_parent()


def _unchanged(batch: Batch) -> Batch:
    """Return a batch, which the dataset has gathered already."""
    return batch
