"""Places of recordings, the same at every sampling: the prompt before each, and what really follows.

Letters: B excerpts, T time in samples.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequnet_pl.data.crops import Batch, Crops, Plan, scoring_plan
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.store import Split
from sequnet_pl.models.network import Network
from sequnet_pl.training.metrics import nats, targets_and_mask
from sequnet_pl.training.references import held_out


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Places of a split, (B, 2): the recording, and the sample in it at which a prompt ends."""

    split: Split
    places: Plan

    @classmethod
    def spread(cls, data: AudioDataModule, count: int) -> "Excerpts":
        """So many places, spread evenly over the held-out recordings: at whole seconds, halfway where all are short."""
        split = held_out(data)
        plan = scoring_plan(split.lengths, data.hparams["sample_rate"])
        halfway = np.stack((np.arange(len(split.lengths)), (split.lengths + 1) // 2), axis=1)
        usable = plan[plan[:, 1] > 0] if (plan[:, 1] > 0).any() else halfway
        return cls(split, usable[[len(usable) * (2 * place + 1) // (2 * count) for place in range(count)]])

    def names(self, rate: int) -> list[str]:
        """The recordings and the times in them, for people."""
        found = [(self.split.recordings[each], at) for each, at in self.places.tolist()]
        return [f"{recording.source}, {(recording.begin + at) / rate:.2f} s" for recording, at in found]

    def before(self, samples: int) -> Tensor:
        """Codes (B, samples) that end at the places; before a recording's start lies silence."""
        return Crops(self.split, samples - 1, 0).__getitems__(self.places).codes

    def heard(self, samples: int) -> list[int]:
        """How long prompts of so many samples are: shorter where a recording starts within."""
        return np.minimum(samples, self.places[:, 1]).tolist()

    def after(self, samples: int) -> list[NDArray[np.uint8]]:
        """Codes from the places on, (T,) each, fewer than `samples` where a recording ends."""
        batch = Crops(self.split, samples - 1, samples).__getitems__(self.places)
        return [codes[:count] for codes, count in zip(batch.codes.numpy(), batch.valid.tolist(), strict=True)]

    @torch.no_grad()
    def bits_per_sample(self, network: Network, samples: int, outputs: int) -> list[float]:
        """What the network gives to `after(samples)`, in crops of `outputs` targets; NaN where there are none."""
        device = next(network.parameters()).device
        window = network.window(min(outputs, samples))
        crops, scores = Crops(self.split, *window), []
        for recording, place in self.places.tolist():
            end = min(place + samples, int(self.split.lengths[recording]))
            costs = [torch.empty(0, device=device)]
            for start in range(place, end, window.outputs):
                batch = Batch(*(field.to(device) for field in crops[recording, start]))
                logits = network(batch.codes[:, :-1])
                targets, mask = targets_and_mask(
                    batch._replace(valid=batch.valid.clamp(max=end - start)), window.outputs
                )
                costs.append(nats(logits, targets)[mask])
            scores.append(torch.cat(costs).double().mean().item() / math.log(2))  # not a Metric: one process is here
        return scores
