"""Clips during training: of the weights that are saved, with the same prompts, beside what follows these."""

import math

import numpy as np
import pytest
import soundfile
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from short_runs import same_weights
from torch.nn import functional as F

from sequnet_pl.audio import mulaw
from sequnet_pl.models.wavenet import WaveNet
from sequnet_pl.report.run_folder import read_sampling
from sequnet_pl.sampling.generate import generate
from sequnet_pl.training.module import SeqUNetModule
from sequnet_pl.training.sampling import Excerpts, SampleAudio
from tests.codes import codes_of_split

RATE = 16_000


@pytest.fixture
def trained(fit):
    return fit(max_steps=2, limit_val_batches=0)


@pytest.fixture
def data(trained):
    return trained.trainer.datamodule


def codes_of(path):
    return mulaw.encode(soundfile.read(path, dtype="float32")[0])


def test_excerpts_are_spread_over_recordings_that_are_not_trained_on(data):
    excerpts = Excerpts.spread(data, 2)
    assert excerpts.split is data.splits["val"]
    np.testing.assert_array_equal(excerpts.positions, Excerpts.spread(data, 2).positions)
    assert excerpts.names[0].endswith("val/0.wav, 0.15 s")  # half of a short one
    assert excerpts.prompt_lengths(1000) == [1000, 1000]
    assert excerpts.prompt_lengths(RATE) == [2480, 2480]
    data.splits = data.splits | {"val": data.splits["test"]}
    assert Excerpts.spread(data, 1).split is data.splits["test"]


@pytest.mark.parametrize("outputs", [64, 1000])
def test_bits_of_real_continuations_are_those_of_the_network(data, outputs):
    torch.manual_seed(0)
    network, split = WaveNet(3, 2, 4, 4, 4), data.splits["train"]  # which knows no phase
    start, end = int(split.offsets[1]), int(split.offsets[1] + split.lengths[1])
    excerpts = Excerpts(split, np.array([[1, 3000], [1, end - start - 50], [1, end - start]]))
    bits = excerpts.bits_per_sample(network, 200, outputs)
    assert math.isnan(bits[2])
    for first, count, found in ((start + 3000, 200, bits[0]), (end - 50, 50, bits[1])):
        window = network.window(1).inputs
        contexts = np.stack([split.codes[t - window : t] for t in range(first, first + count)])
        logits, _ = network.prefill(torch.from_numpy(contexts))
        nats = F.cross_entropy(logits, torch.from_numpy(split.codes[first : first + count].astype(np.int64)))
        assert found == pytest.approx(nats.item() / math.log(2), abs=1e-4)


def test_a_sampling_is_on_disk_as_its_list_says(trained, data, tmp_path):
    lengths = {"continuations": 1, "from_silence": 2, "seconds": 0.05, "prompt_seconds": 0.1}
    sampler = SampleAudio(**lengths, temperature=1.0, second_temperature=0.5, seed=3)
    sampling = sampler.make(trained.module, data, 7, tmp_path)
    assert read_sampling(tmp_path) == sampling
    assert [(clip.name, clip.temperature) for clip in sampling.clips] == [
        ("continuation-0", 1.0),
        ("recording-0", None),
        ("silence-1", 1.0),
        ("silence-2", 1.0),
        ("silence-3", 0.5),
        ("silence-4", 0.5),
    ]
    codes = {clip.name: codes_of(tmp_path / f"{clip.name}.wav") for clip in sampling.clips}
    assert {name: len(found) for name, found in codes.items()} == {
        clip.name: 800 + round(clip.prompt_end * RATE) for clip in sampling.clips
    }
    np.testing.assert_array_equal(codes["continuation-0"][:1600], codes["recording-0"][:1600])
    generated = np.concatenate((codes["continuation-0"][1600:], codes["silence-1"], codes["silence-2"]))
    np.testing.assert_array_equal(sampling.generated_codes, np.bincount(generated, minlength=256))
    held_out = data.splits["val"]
    np.testing.assert_array_equal(sampling.real_codes, np.bincount(codes_of_split(held_out), minlength=256))
    assert all(0 < clip.bits_per_sample < 20 for clip in sampling.clips)
    assert all((tmp_path / f"{clip.name}.png").is_file() for clip in sampling.clips)


def test_the_weights_of_a_checkpoint_are_sampled(fit):
    """Their average, where there is one."""
    sampler = SampleAudio(
        every_n_steps=2, every_n_epochs=0, continuations=0, seconds=0.02, second_temperature=None, temperature=0.9
    )
    module = SeqUNetModule(2, 2, 1, 3, lr=0.1)
    run = fit(module=module, callbacks=[EMAWeightAveraging(decay=0.5), sampler], max_steps=4, limit_val_batches=0)
    assert run.error is None
    averaged = SeqUNetModule(2, 2, 1, 3)
    averaged.load_state_dict(run.last["state_dict"])
    expected = generate(averaged.network, seconds=0.02, temperature=0.9)[0]
    folder = run.folder / "samples"
    np.testing.assert_array_equal(codes_of(folder / "step-00000004" / "silence-0.wav"), mulaw.encode(expected))
    learning = SeqUNetModule(2, 2, 1, 3)
    learning.load_state_dict(run.last["current_model_state"])
    assert not np.array_equal(generate(learning.network, seconds=0.02, temperature=0.9)[0], expected)
    assert sampler.last_step == 4 and sampler.seconds_taken > 0


def test_clips_have_the_same_prompts_and_leave_no_trace(fit, trained):
    sampler = SampleAudio(every_n_steps=1, every_n_epochs=0, seconds=0.01, prompt_seconds=0.05)
    run = fit("with", callbacks=[sampler], max_steps=2, limit_val_batches=0)
    folders = sorted((run.folder / "samples").iterdir())
    assert [folder.name for folder in folders] == ["step-00000001", "step-00000002"]
    np.testing.assert_array_equal(*(codes_of(folder / "continuation-0.wav")[:800] for folder in folders))
    assert same_weights(trained, run)


def test_clips_that_cannot_be_made_do_not_end_a_run(fit, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no space")

    monkeypatch.setattr(SampleAudio, "make", fail)
    run = fit(callbacks=[SampleAudio(every_n_steps=2)], max_steps=3)
    assert run.error is None
    assert run.trainer.global_step == 3
    assert "no clips at step 2: no space" in caplog.text


def test_a_resumed_run_does_not_sample_the_step_of_its_checkpoint_again(fit):
    def sampled(steps, resume):
        sampler = SampleAudio(2, 0, continuations=0, seconds=0.001)
        options = {"accumulate_grad_batches": 2, "max_epochs": -1, "limit_val_batches": 0}
        run = fit(resume=resume, callbacks=[sampler], max_steps=steps, **options)
        return sorted((run.folder / "samples").iterdir())

    (folder,) = sampled(2, resume=False)
    before = folder.stat().st_mtime_ns
    assert len(sampled(4, resume=True)) == 2
    assert folder.stat().st_mtime_ns == before
