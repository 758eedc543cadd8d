"""Every sample is a target as often as it should be, with its own past before it; n-gram baselines of a split."""

import hashlib
import math
import pickle
from collections import Counter
from itertools import islice
from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.data import entropy
from sequnet_pl.data.crops import EMPTY, Crops, Groups, scoring_plan, training_plan
from sequnet_pl.data.entropy import learn_tables, table_keys
from sequnet_pl.data.loader import CropLoader, Shard


def split_of(lengths, seed=0) -> Any:
    """A split with random codes, as the store would open it."""
    lengths = np.array(lengths, int)
    codes = np.random.default_rng(seed).integers(0, 256, lengths.sum(), dtype=np.uint8)
    offsets = np.cumsum(lengths) - lengths
    return SimpleNamespace(codes=codes, lengths=lengths, offsets=offsets)


def recording(split, index):
    return split.codes[split.offsets[index] : split.offsets[index] + split.lengths[index]]


LENGTHS = [1, 7, 64, 65, 1000, 333, 2, 128]
LONG = np.array([1000, 64, 7000, 300, 10_000, 90_000])
NUMBERS = np.array([0, 0, 0, 1, 1, 2])  # of three groups with weights


def test_a_crop_is_the_recording_between_silence():
    """Code by code: what a crop holds at any place is what the recording holds there, or silence outside of it."""
    split, inputs, outputs = split_of(LENGTHS), 50, 16
    crops = Crops(split, inputs, outputs)
    random = np.random.default_rng(1)
    for _ in range(200):
        index = int(random.integers(len(LENGTHS)))
        start = int(random.integers(split.lengths[index]))
        batch = crops.__getitems__(np.array([(index, start)]))
        whole = np.concatenate((np.full(inputs, SILENCE), recording(split, index), np.full(outputs, SILENCE)))
        first = inputs + start + outputs - (inputs + 1)
        assert np.array_equal(batch.codes[0].numpy(), whole[first : first + inputs + 1])
        assert batch.codes.dtype == torch.uint8
        assert batch.valid.item() == min(outputs, split.lengths[index] - start)
        assert (batch.recordings.item(), batch.starts.item()) == (index, start)


@pytest.mark.parametrize("outputs", [1, 16, 64, 5000])
def test_scoring_predicts_every_sample_exactly_once(outputs):
    split = split_of(LENGTHS)
    seen = [np.zeros(length, int) for length in LENGTHS]
    plan = scoring_plan(split.lengths, outputs)
    batch = Crops(split, outputs + 3, outputs).__getitems__(plan)
    for codes, valid, index, start in zip(*(field.numpy() for field in batch), strict=True):
        assert start % outputs == 0
        seen[index][start : start + valid] += 1
        assert np.array_equal(codes[-outputs:][:valid], recording(split, index)[start : start + valid])
    assert all((count == 1).all() for count in seen)


def test_scoring_can_be_bounded_and_still_covers_all_recordings_evenly():
    lengths = np.array([10_000, 10_000, 10_000])
    plan = scoring_plan(lengths, 100, most=3000)
    assert len(plan) == 30
    assert np.bincount(plan[:, 0]).tolist() == [10, 10, 10]
    assert len(scoring_plan(lengths, 100, most=1)) == 1


def test_training_crops():
    """As many as the hop gives, inside the recordings, and a pure function of seed and epoch."""
    lengths = np.array([1, 39_999, 40_000, 40_001, 200_000])
    assert np.bincount(training_plan(lengths, 5000, 40_000, seed=0, epoch=0)[:, 0]).tolist() == [1, 1, 1, 2, 5]
    lengths = np.array(LENGTHS)
    for epoch in range(50):
        for index, start in training_plan(lengths, 64, 100, seed=3, epoch=epoch):
            assert start >= 0
            assert start + 64 <= lengths[index] or start == 0  # only a short recording has a tail
    plans = [training_plan(lengths, 64, 100, *seeds) for seeds in ((1, 2), (1, 2), (1, 3), (2, 2))]
    assert [np.array_equal(plans[0], plan) for plan in plans] == [True, True, False, False]
    digest = hashlib.sha256(training_plan(LONG, 64, 100, seed=3, epoch=2).tobytes()).hexdigest()
    assert digest[:12] == "868096ab98f9", "resumed runs of earlier versions continue with their plan"


def test_training_uses_every_sample_about_equally_often():
    length, outputs, epochs = 1000, 100, 5_000
    used = np.zeros(length)
    for epoch in range(epochs):
        (_, start), *_ = training_plan(np.array([length]), outputs, length, seed=0, epoch=epoch)
        used[start : start + outputs] += 1
    expected = epochs * outputs / length
    assert used.min() > 0.4 * expected
    assert used.max() < 1.7 * expected


def weighted(epoch: int, *weights: float, hop: int = 100) -> np.ndarray:
    return training_plan(LONG, 64, hop, 3, epoch, Groups(NUMBERS, np.array(weights)))


def counts_of(found: np.ndarray) -> list[int]:
    return np.bincount(NUMBERS[found[:, 0]], minlength=3).tolist()


def test_weights_hold_in_every_epoch_and_its_length_stays() -> None:
    usual = len(training_plan(LONG, 64, 100, 3, 0))
    for epoch in range(20):
        found = weighted(epoch, 6, 3, 1)
        assert len(found) == usual
        for count, weight in zip(counts_of(found), (0.6, 0.3, 0.1), strict=True):
            assert abs(count - weight * usual) < 1
        assert np.array_equal(found, weighted(epoch, 0.6, 0.3, 0.1)), "a pure function, whatever the weights add up to"
    assert not np.array_equal(weighted(0, 6, 3, 1), weighted(1, 6, 3, 1))
    drawn = np.array([counts_of(weighted(epoch, 1, 1, 0.01, hop=20_000)) for epoch in range(2000)])
    assert set(drawn.sum(1)) == {10} and set(drawn[:, 2]) == {0, 1}, "a small weight gives a crop in some epochs"
    assert 0.02 < drawn[:, 2].mean() < 0.08  # 10 * 0.01 / 2.01


@pytest.mark.parametrize(("ranks", "batch_size"), [(1, 4), (2, 1), (3, 4)])
def test_ranks_share_an_epoch_without_repeats(ranks, batch_size):
    plan = scoring_plan(np.array(LENGTHS), 16)
    shards = [list(Shard(lambda _: plan, batch_size, rank, ranks)) for rank in range(ranks)]
    assert len({len(shard) for shard in shards}) == 1
    for batches in zip(*shards, strict=True):
        assert len({len(batch) for batch in batches}) == 1  # so that no rank waits for another
    rows = np.concatenate([batch for shard in shards for batch in shard])
    rows = rows[rows[:, 0] != EMPTY[0]]
    assert sorted(map(tuple, rows)) == sorted(map(tuple, plan))


def loader(workers, batch_size=4):
    split = split_of([5000, 700, 90])

    def plan(epoch):
        return training_plan(split.lengths, 16, 100, seed=0, epoch=epoch)

    return CropLoader(Crops(split, 50, 16), Shard(plan, batch_size, 0, 1), workers, pin_memory=False)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [0, 5, 14, 15])
def test_a_resumed_loader_sees_what_the_unbroken_one_would_have(workers, stop):
    unbroken, first, second = loader(0), loader(workers), loader(2 - workers)
    expected = [batch for epoch in range(2) for batch in epoch_of(unbroken, epoch)]
    assert len(first) == 15
    seen = list(islice(first, stop))
    second.load_state_dict(first.state_dict())
    for epoch in range(0 if stop < len(first) else 1, 2):
        seen += epoch_of(second, epoch)
    assert len(seen) == len(expected)
    for batch, other in zip(seen, expected, strict=True):
        assert all(torch.equal(*fields) for fields in zip(batch, other, strict=True))


def epoch_of(crop_loader, epoch):
    crop_loader.shard.set_epoch(epoch)
    return list(crop_loader)


def test_without_anybody_counting_epochs_the_loader_does():
    crop_loader = loader(0)
    first, second = list(crop_loader), list(crop_loader)
    assert not all(torch.equal(a.codes, b.codes) for a, b in zip(first, second, strict=True))
    for batch, expected in zip(second, epoch_of(loader(0), 1), strict=True):
        assert torch.equal(batch.codes, expected.codes)


def test_another_batch_size_goes_on_near_the_same_place():
    first, second = loader(0), loader(0, batch_size=8)
    assert len(list(islice(first, 5))) == 5
    second.load_state_dict(first.state_dict())
    assert second.shard.batches_done == 2  # 16 of the 20 crops; the other 4 are seen again


def test_a_batch_travels_between_processes_and_an_empty_crop_has_no_targets():
    batch = Crops(split_of(LENGTHS), 20, 8).__getitems__(np.array([EMPTY, (4, 3)]))
    assert batch.valid.tolist() == [0, 8]
    assert (batch.codes[0] == SILENCE).all()
    sent = pickle.loads(ForkingPickler.dumps(batch))  # noqa: S301
    assert type(sent) is type(batch)
    for field, other in zip(sent, batch, strict=True):
        assert field.dtype == other.dtype
        assert torch.equal(field, other)
        field += 1  # it may be written to
    assert not torch.equal(sent.codes, batch.codes)


@pytest.mark.parametrize("stretch", [7, 64, 10_000])
def test_n_gram_tables_are_those_of_counting_by_hand(monkeypatch, stretch):
    monkeypatch.setattr(entropy, "_STRETCH", stretch)
    monkeypatch.setattr(entropy, "_TOGETHER", 2)
    split = split_of([1, 3, 500, 70, 129])
    split.codes %= 5  # so that much is seen often
    counts = Counter()
    for index in range(5):
        codes = [SILENCE, SILENCE, *recording(split, index).tolist()]
        for end in range(3, len(codes) + 1):
            counts.update([*((size, *codes[end - size : end]) for size in (1, 2, 3)), (0,)])
            counts.update([(4, size, *codes[end - size : end - 1]) for size in (2, 3)])

    def probability(*codes):
        own = counts[len(codes), *codes]
        if len(codes) == 1:
            return (own + 1) / (counts[(0,)] + 256)
        return (own + probability(*codes[1:])) / (counts[4, len(codes), *codes[:-1]] + 1)

    tables = learn_tables(split)
    for codes in ((0, 1, 2), (3, 3, 3), (SILENCE, SILENCE, 4), (SILENCE, 2, 1), (200, 1, 2), (200, 201, 202)):
        for size, table in enumerate(tables, 1):
            key = table_keys(torch.tensor([codes], dtype=torch.uint8), 1).item() % len(table)
            assert table[key].item() == pytest.approx(-math.log2(probability(*codes[-size:])), rel=1e-6)


def test_n_gram_tables_of_a_large_split_read_in_part_and_of_an_empty_one(monkeypatch):
    monkeypatch.setattr(entropy, "_STRETCH", 16)
    split = split_of([2048])
    split.codes[:] = np.repeat([1, 2], 1024)
    single, *_ = learn_tables(split, most=64)
    for code, seen in ((1, 32), (2, 32), (3, 0)):
        assert single[code].item() == pytest.approx(-math.log2((seen + 1) / (64 + 256)))
    for table in learn_tables(split_of([])):
        assert torch.allclose(table, torch.tensor(8.0))
