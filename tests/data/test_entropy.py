"""N-gram baselines give the bits that counting by hand gives."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from test_crops import recording, split_of

from sequnet_pl.audio.mulaw import SILENCE
from sequnet_pl.data import entropy
from sequnet_pl.data.entropy import learn_tables, table_keys


@pytest.mark.parametrize("stretch", [7, 64, 10_000])
def test_tables_are_those_of_counting_by_hand(monkeypatch, stretch):
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


def test_of_a_large_split_evenly_spread_stretches_are_read(monkeypatch):
    monkeypatch.setattr(entropy, "_STRETCH", 16)
    split = split_of([2048])
    split.codes[:] = np.repeat([1, 2], 1024)
    single, *_ = learn_tables(split, most=64)
    for code, seen in ((1, 32), (2, 32), (3, 0)):
        assert single[code].item() == pytest.approx(-math.log2((seen + 1) / (64 + 256)))


def test_without_recordings_every_code_takes_8_bits():
    for table in learn_tables(split_of(np.array([], int))):
        assert torch.allclose(table, torch.tensor(8.0))
