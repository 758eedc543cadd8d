"""sample.py: its messages, and the files that are left when it is stopped."""

import errno
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from sample_run import RATE, codes, made

from sequnet_pl.audio.files import GrowingWav
from sequnet_pl.cli.entry_points import sample
from sequnet_pl.cli.main import run_main
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.report.clip import save_spectrogram
from sequnet_pl.sampling import clips as making
from sequnet_pl.sampling.load import device_for
from sequnet_pl.sampling.progress import SampleProgress


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--tmp 1", "did you mean --temp?"),
        ("stray", "unrecognized arguments: stray"),
        ("--temp warm", '"temp" element 1: '),
        ("--top_k 257", "top_k is 257"),
        ("--top_p 0", "top_p 0, but"),
        ("--top_p 1.1", '"top_p": '),
        ("--conditional 2", '"conditional": '),
        ("--batch_size 0", '"batch_size": 0 does not conform to restriction'),
        ("--seconds -1", '"seconds": '),
        ("--seconds 1e-9", "less than one sample"),
        ("--seconds 1 --gen_samples 3", "cannot be given together"),
        ("--seed -1", '"seed": -1 does not conform to restriction'),
        ("--prompt x.wav --prompt_seconds 1e-9", "shorter than one sample"),
        ("--prompt x.wav --conditional 0", "cannot be given together"),
        ("--cuda --gpus 0", "contradict"),
        ("--gpus 2", '"gpus": '),
        ("--stdout --batch_size 2", "takes one clip"),
        ("--stdout --play", "cannot be given together"),
        ("--engine steam", '"engine": '),
        ("--weights float8", '"weights": '),
        ("--engine cuda", "needs a network on a GPU"),
        ("--engine eager --weights bf16", "bf16 weights need the cuda engine or the native engine"),
        ("--levels 11", "has levels 3; leave --levels out"),
        ("--layers 13", "holds a sequnet, which has no layers"),
        ("--model wavenet", "holds a sequnet; leave --model out"),
        ("--model sequent", "my_networks.MLP; did you mean sequnet?"),
        ("--snapshot_dir .", "cannot be given together"),
    ],
)
def test_usage(run, words: str, message: str) -> None:
    assert message in run(*words.split(), status=2, short=False)
    assert not Path("generated").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("flag", ["--cuda", "--gpus 1"])
def test_without_a_gpu(run, flag: str) -> None:
    assert "--gpus 0" in run(*flag.split(), status=2)


def test_a_gpu_that_torch_cannot_use_is_none(monkeypatch) -> None:
    """Before CUDA is initialised, torch also counts GPUs whose driver is too old for it."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_for(None).type == "cpu"
    with pytest.raises(UsageError, match="--gpus 0"):
        device_for(1)


def test_checkpoints_that_are_none(run, trained: Path) -> None:
    def on(path: Path) -> str:
        return run(on=path, status=1)

    assert "no checkpoint missing.ckpt" in on(Path("missing.ckpt"))
    Path("half.ckpt").write_bytes(trained.read_bytes()[: trained.stat().st_size // 2])
    assert "half.ckpt" in on(Path("half.ckpt"))
    torch.save({"network": "sequnet", "code": Evil()}, "evil.ckpt")
    assert "holds code" in on(Path("evil.ckpt")) and not Path("ran").exists()
    torch.save({"some": "thing"}, "other.ckpt")
    assert "not a checkpoint" in on(Path("other.ckpt"))
    torch.save({"network": "sequnet", "hyper_parameters": {"layers": 3}, "state_dict": {}}, "mixed.ckpt")
    assert "of another version: it has the setting layers" in on(Path("mixed.ckpt"))
    Path("folder").mkdir()
    assert "no checkpoint in" in on(Path("folder"))
    assert "train one first" in run(on=None, status=1)
    assert "train one first" in run("--ckpt_path", "best", on=None, status=1)


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


def test_prompts_that_are_none(run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Path("empty.wav").touch()
    Path("text.wav").write_text("no sound")
    soundfile.write("none.wav", np.zeros(0), RATE)
    soundfile.write("nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    soundfile.write("silent.wav", np.zeros(RATE), RATE)
    for name in ("missing.wav", "empty.wav", "text.wav", "none.wav", "nan.wav"):
        assert name in run("--prompt", name, status=1)
    assert "ends at 1.00 s" in run("--prompt", "silent.wav", "--prompt_start", 3, status=1)
    run("--prompt", "silent.wav")
    assert "is silent" in caplog.text


def interrupt(self: SampleProgress, block: Any) -> None:
    signal.raise_signal(signal.SIGINT)


def test_interrupted(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(making, "save_spectrogram", save_spectrogram)
    run("--seed", 1)
    monkeypatch.setattr(SampleProgress, "add_block", interrupt)
    assert "interrupted" in run("--batch_size", 2, "--lead_in", 0, status=130)
    clips = made()
    assert [clip["complete"] for clip in clips] == [True, False, False]
    for clip in clips[1:]:
        assert 0 < clip["samples"] == len(codes(Path("generated", clip["wav"]))) < 200
        assert clip["spectrogram"]
    assert "cut short" in Path("generated/index.html").read_text()
    assert "what was made is kept" in caplog.text
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    rest = ("--gen_samples", 200 - clips[1]["samples"])
    run("--continue", Path("generated", clips[1]["wav"]), *rest, on=None, short=False)
    run("--batch_size", 2, "--lead_in", 0, "--output_dir", "whole")
    continued, whole = made()[1], made(Path("whole"))[0]  # instead of the clip that was cut short
    assert continued["complete"] and continued["bits_per_sample"] == pytest.approx(whole["bits_per_sample"])
    assert np.array_equal(codes(Path("generated", continued["wav"])), codes(Path("whole", whole["wav"])))


@pytest.mark.parametrize(
    ("writes", "words", "complete"),
    [
        (7, "--num_batches 2 --gen_samples 100 --lead_in 0", [True, False]),
        (
            2,
            "--batch_size 2 --conditional 1 --prompt_seconds 0.01",
            [False],
        ),  # after a prompt and a block of the first
    ],
)
def test_no_space_while_clips_grow(
    run, monkeypatch: pytest.MonkeyPatch, writes: int, words: str, complete: list[bool]
) -> None:
    real, left = GrowingWav.write, iter(range(writes))

    def write(self: GrowingWav, values: np.ndarray) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, values)

    monkeypatch.setattr(GrowingWav, "write", write)
    assert "No space left" in run(*words.split(), status=1, short="--gen_samples" not in words)
    assert [clip["complete"] for clip in made()] == complete
    wavs = [Path("generated", clip["wav"]) for clip in made()]
    assert sorted(Path("generated").glob("*.wav")) == wavs
    assert all(len(codes(wav)) for wav in wavs)


def test_a_reader_of_stdout_that_ends(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        stdout = SimpleNamespace(buffer=pipe, flush=pipe.flush, fileno=pipe.fileno)
        monkeypatch.setattr(sys, "stdout", stdout)
        words = f"--ckpt_path {trained} --gpus 0 --gen_samples 200 --stdout raw --output_dir generated"
        assert run_main("sample.py", sample, words.split()) == 141  # as with head
    (clip,) = made()
    assert not clip["complete"] and Path("generated/index.html").is_file()


def test_no_space_for_files(run, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    before = {path.name: path.read_bytes() for path in Path("generated").iterdir()}

    def replace(temporary: Path, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", replace)
    assert "No space left" in run("--seed", 5, status=1)
    assert {path.name: path.read_bytes() for path in Path("generated").iterdir()} == before


@pytest.mark.parametrize("reason", ["interrupt", "full disk"])
def test_a_clip_is_kept_if_its_picture_cannot_be_drawn(run, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    def fail(*_: object) -> None:
        if reason == "interrupt":
            signal.raise_signal(signal.SIGINT)
        raise UserError("No space left on device")

    monkeypatch.setattr(making, "save_spectrogram", fail)
    run("--batch_size", 2, status=130 if reason == "interrupt" else 1)
    assert [(clip["complete"], clip["spectrogram"]) for clip in made()] == [(True, ""), (True, "")]
    assert all(len(codes(Path("generated", clip["wav"]))) == 200 for clip in made())


def test_logits_that_are_not_numbers(run, trained: Path) -> None:
    content = torch.load(trained, weights_only=True)
    content["state_dict"]["network.output_conv.bias"][3] = torch.nan
    torch.save(content, "nan.ckpt")
    for engine in ("eager", "auto"):
        message = run("--batch_size", 2, "--engine", engine, on=Path("nan.ckpt"), status=1)
        assert "nan.ckpt, step 2: " in message and "not numbers" in message
    assert not list(Path("generated").iterdir())


def test_folders_that_cannot_be(run) -> None:
    Path("file").touch()
    assert "file/below" in run("--output_dir", "file/below", status=1)
    Path("generated").mkdir()
    for text in ("not a list", '{"clips": [1]}', '{"clips": [{}]}'):
        Path("generated/clips.json").write_text(text)
        assert "not a list of clips" in run(status=1)
