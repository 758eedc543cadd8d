"""The report of a test: its details, its JSON file, and scores that are not finite."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from short_runs import run_test

from sequnet_pl.data.crops import EMPTY, Batch, Crops, scoring_plan
from sequnet_pl.errors import UserError
from sequnet_pl.training.metrics import margins, nats, targets_and_mask
from sequnet_pl.training.module import SeqUNetModule
from sequnet_pl.training.scores import CONFIDENCES, Details, distance_edges

OUTPUTS, EDGES = 32, [16, 32, 64, 128]
LENGTHS = np.array([200, 5, 33, 64])


def test_details_are_sums_over_single_predictions():
    """For all crops of four recordings, three at a time, with empty ones between and logits that are often high."""
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
    confident, right, often = np.zeros((3, CONFIDENCES))
    for row, column in mask.nonzero().tolist():
        last = OUTPUTS - column  # from the end
        before, own = [int(batch.codes[row, -last - back]) for back in (1, 0)]
        assert own == targets[row, column]
        chances = logits[row, :, column].softmax(0)
        values = -math.log2(chances[own]), tables[0][own].item(), tables[1][256 * before + own].item()
        distance = int(batch.starts[row]) + column
        indices = int(batch.recordings[row]), sum(edge <= distance for edge in EDGES)
        for total, count, index in zip(bits, counts, indices, strict=True):
            total[:, index] += values
            count[index] += 1
        top = chances.max().item()
        index = min(int(top * CONFIDENCES), CONFIDENCES - 1)
        confident[index] += top
        right[index] += chances[own] == chances.max()
        often[index] += 1
    assert by_recording.counts.tolist() == counts[0].tolist() == LENGTHS.tolist()
    assert by_distance.counts.tolist() == counts[1].tolist()
    np.testing.assert_allclose(by_recording.totals, bits[0], rtol=1e-5)
    np.testing.assert_allclose(by_distance.means, bits[1] / counts[1], rtol=1e-5)
    assert by_confidence.counts.tolist() == often.tolist()
    assert (often[1:] > 0).sum() > 10
    np.testing.assert_allclose(by_confidence.totals, [confident, right], rtol=1e-5)


def test_of_equal_largest_logits_one_is_the_likeliest():
    logits = torch.zeros(1, 256, 3, dtype=torch.bfloat16)
    logits[0, [3, 5]] = 1
    assert (margins(logits, torch.tensor([[3, 5, 7]])) == 0).tolist() == [[True, False, False]]


def test_edges_are_powers_of_two_until_four_receptive_fields_or_the_longest_recording():
    assert distance_edges(20, 10_000) == [16, 32, 64, 128]
    assert distance_edges(16, 10_000) == [16, 32, 64]
    assert distance_edges(2, 10_000) == [16]
    assert distance_edges(5000, 100) == [16, 32, 64]
    assert distance_edges(5000, 16) == []


def test_the_json_file_has_all_of_it(audio_folder, tmp_path):
    run_test(tmp_path / "run", SeqUNetModule(3, 4, 1, 3), audio_folder, tmp_path)
    found = json.loads((tmp_path / "run" / "test.json").read_text())
    lengths = [soundfile.info(audio_folder / "test" / f"{name}.wav").frames for name in (0, 1)]
    recordings = {one["name"]: one["samples"] for one in found["recordings"]}
    assert recordings == {"0.wav": lengths[0], "1.wav": lengths[1]}
    assert found["samples"] == sum(lengths)
    means = {"recordings": "bits_per_sample", "distances": "bits_per_sample", "calibration": "accuracy"}
    for bins, mean in means.items():
        assert sum(one["samples"] for one in found[bins]) == sum(lengths)
        total = sum(one["samples"] * one[mean] for one in found[bins] if one["samples"])
        assert total / sum(lengths) == pytest.approx(found[f"test/{mean}"], abs=1e-9)
    tables = list(found["bits_per_sample"].values())
    assert tables[0] == 8 and tables[1] > tables[2] > tables[3]
    total = sum(one["samples"] * one["table_bits_per_sample"] for one in found["distances"])
    assert total / sum(lengths) == pytest.approx(tables[3], abs=1e-9)
    assert found["distances"][-1]["end"] is None
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"test.json", "test.html"}


def test_a_score_is_printed_though_it_cannot_be_written(audio_folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make the folder"):
        run_test(tmp_path / "file" / "run", SeqUNetModule(3, 4, 1, 3), audio_folder, tmp_path)
    assert "uniform baseline" in capsys.readouterr().out


def test_what_is_not_finite_is_null(audio_folder, tmp_path):
    module = SeqUNetModule(2, 2, 1, 3)
    module.network.requires_grad_(False)
    next(module.parameters()).fill_(torch.nan)
    run_test(tmp_path / "run", module, audio_folder, tmp_path)
    text = (tmp_path / "run" / "test.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["test/bits_per_sample"] is None
