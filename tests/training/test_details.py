"""Details of a score are what looking at every single prediction gives, however these come."""

import math
from types import SimpleNamespace

import numpy as np
import torch

from sequnet_pl.data.crops import EMPTY, Batch, Crops, scoring_plan
from sequnet_pl.training.metrics import margins, nats, targets_and_mask
from sequnet_pl.training.scores import CONFIDENCES, Details, distance_edges

OUTPUTS, EDGES = 32, [16, 32, 64, 128]
LENGTHS = np.array([200, 5, 33, 64])


def test_they_are_what_looking_at_every_prediction_gives():
    """For all crops of four recordings, three at a time, with empty ones between and logits that are often sure."""
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(256, (int(LENGTHS.sum()),), generator=random, dtype=torch.uint8).numpy()
    split = SimpleNamespace(codes=codes, lengths=LENGTHS, offsets=np.cumsum(LENGTHS) - LENGTHS)
    plan = np.insert(scoring_plan(LENGTHS, OUTPUTS), [2, 5], [EMPTY, EMPTY], axis=0)
    batch = Crops(split, OUTPUTS + 7, OUTPUTS).__getitems__(plan)
    logits = torch.randn(len(plan), 256, OUTPUTS, generator=random)
    targets, mask = targets_and_mask(batch, OUTPUTS)
    boosted = torch.rand(targets.shape, generator=random) < 0.5
    logits.scatter_add_(1, targets[:, None], (12 * torch.rand(targets.shape, generator=random) * boosted)[:, None])
    tables = [8 * torch.rand(256**order, generator=random) for order in (1, 2)]
    details = Details(tables, len(LENGTHS), EDGES, torch.device("cpu"))
    scored = nats(logits, targets), margins(logits, targets), mask
    for parts in zip(*(field.split(3) for field in (*batch, *scored)), strict=True):
        details.update(Batch(*parts[:4]), *parts[4:])
    by_recording, by_distance, by_confidence = details.compute()

    bits = np.zeros((3, len(LENGTHS))), np.zeros((3, len(EDGES) + 1))
    counts = np.zeros(len(LENGTHS), int), np.zeros(len(EDGES) + 1, int)
    sure, right, often = np.zeros((3, CONFIDENCES))
    for row, column in mask.nonzero().tolist():
        last = OUTPUTS - column  # from the end
        before, own = [int(batch.codes[row, -last - back]) for back in (1, 0)]
        assert own == targets[row, column]
        chances = logits[row, :, column].softmax(0)
        values = -math.log2(chances[own]), tables[0][own].item(), tables[1][256 * before + own].item()
        distance = int(batch.starts[row]) + column
        places = int(batch.recordings[row]), sum(edge <= distance for edge in EDGES)
        for total, count, place in zip(bits, counts, places, strict=True):
            total[:, place] += values
            count[place] += 1
        top = chances.max().item()
        place = min(int(top * CONFIDENCES), CONFIDENCES - 1)
        sure[place] += top
        right[place] += chances[own] == chances.max()
        often[place] += 1
    assert by_recording.counts.tolist() == counts[0].tolist() == LENGTHS.tolist()
    assert by_distance.counts.tolist() == counts[1].tolist()
    np.testing.assert_allclose(by_recording.totals, bits[0], rtol=1e-5)
    np.testing.assert_allclose(by_distance.means, bits[1] / counts[1], rtol=1e-5)
    assert by_confidence.counts.tolist() == often.tolist()
    assert (often[1:] > 0).sum() > 10
    np.testing.assert_allclose(by_confidence.totals, [sure, right], rtol=1e-5)


def test_edges_are_powers_of_two_until_four_receptive_fields_or_the_longest_recording():
    assert distance_edges(20, 10_000) == [16, 32, 64, 128]
    assert distance_edges(16, 10_000) == [16, 32, 64]
    assert distance_edges(2, 10_000) == [16]
    assert distance_edges(5000, 100) == [16, 32, 64]
    assert distance_edges(5000, 16) == []
