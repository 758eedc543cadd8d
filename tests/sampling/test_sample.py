"""sample.py: what it makes, makes again, continues, and streams."""

import io
import json
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from sample_run import RATE, codes, made

from sequnet_pl.audio import files, mulaw
from sequnet_pl.report.clip import save_spectrogram
from sequnet_pl.sampling import clips as making


def test_continuations_of_test_recordings(run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "save_spectrogram", save_spectrogram)
    run("--conditional", 1, "--prompt_seconds", 0.1, "--batch_size", 2, "--temp", 0.9)
    assert sorted(path.name for path in Path("generated").iterdir()) == sorted(
        ["clips.json", "index.html"]
        + [f"step2_seed0_temp0.9_continuation_00{n}.{end}" for n in (0, 1) for end in ("wav", "png")]
    )
    for clip in made():
        wav = Path("generated", clip["wav"])
        assert soundfile.info(wav).subtype == "PCM_16" and soundfile.info(wav).samplerate == RATE
        assert clip["samples"] == len(codes(wav)) == clip["prompt_samples"] + 200
        assert Path(clip["prompt"]).parent.name == "test"
        recording = mulaw.encode(files.read(Path(clip["prompt"]), RATE))
        end, played = round(clip["prompt_end"] * RATE), clip["prompt_samples"]
        assert np.array_equal(codes(wav)[:played], recording[end - played : end])
        assert 0 < clip["bits_per_sample"] < 20 and clip["complete"]
    page = Path("generated/index.html").read_text()
    assert all(clip["wav"] in page.replace("<wbr>", "") for clip in made())


def test_the_pages_of_a_run_link_each_other(run, trained: Path) -> None:
    folder = Path("logs/sequnet/mine")
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("model: {class_path: sequnet_pl.models.sequnet.SeqUNet}\n")
    shutil.copy(trained, folder / "checkpoints" / "last.ckpt")
    run(on=folder / "checkpoints" / "last.ckpt")
    assert 'href="../../../generated/index.html">clips in generated</a>' in (folder / "report.html").read_text()
    run(on=folder / "checkpoints" / "last.ckpt")  # whose report there is now
    page = Path("generated/index.html").read_text()
    assert "<h1>mine: generated clips</h1>" in page and 'href="../logs/sequnet/mine/report.html">report</a>' in page
    run("--seed", 1)
    assert "<h1>Generated clips</h1>" in Path("generated/index.html").read_text()
    Path("config.yaml").touch()  # not every folder with such a file around a checkpoint is a run's
    shutil.copy(trained, "last.ckpt")
    run(on=Path("last.ckpt"))
    assert not Path("report.html").exists()


def test_any_batch_size_gives_the_same_codes_in_float64(run) -> None:
    for size in (1, 2, 5):
        words = f"--double --batch_size {size} --num_batches {10 // size} --gen_samples 50 --output_dir {size}"
        run("--conditional", 1, *words.split(), short=False)
    one, two, five = (
        {clip["clip"]: codes(Path(size, clip["wav"])) for clip in made(Path(size))} for size in ("1", "2", "5")
    )
    assert sorted(one) == list(range(10)) and len({clip.tobytes() for clip in one.values()}) == 10
    for number in one:
        assert np.array_equal(one[number], two[number]) and np.array_equal(one[number], five[number])


@pytest.mark.parametrize("start", ["--conditional 1 --top_p 0.9", "--conditional 0 --top_k 50 --double", "--prompt"])
def test_the_command_of_a_clip_makes_it_again(run, trained: Path, start: str) -> None:
    words = start.split() + (
        [str(trained.parent / f"audio/train/{n}.wav") for n in (3, 4)] if "prompt" in start else []
    )
    run(*words, "--temp", 0.5, 1.25, "--batch_size", 2, "--num_batches", 2, "--seed", 7, "--prompt_seconds", 0.01)
    clips = made()
    assert len(clips) == (16 if "prompt" in start else 8)
    for clip in (clips[1], clips[-2]):
        again = shlex.split(clip["command"])
        assert again[:2] == ["python", "sample.py"]
        run(*again[2:], "--output_dir", "again", on=None, short=False)
        assert Path("again", clip["wav"]).read_bytes() == Path("generated", clip["wav"]).read_bytes()
        (same,) = [found for found in made(Path("again")) if found["wav"] == clip["wav"]]
        assert same == clip


# the shorter prompt is shorter than the network's context
@pytest.mark.parametrize(("engine", "seconds"), [("native", 1), ("native", 0.001), ("eager", 0.001)])
def test_continuing_equals_one_longer_run(run, engine: str, seconds: float) -> None:
    how = ("--batch_size", 3, "--conditional", 1, "--prompt_seconds", seconds, "--engine", engine)
    run(*how)
    name = "step2_seed0_temp1_continuation_001"
    run("--continue", f"generated/{name}.wav", "--gen_samples", 150, on=None, short=False)
    run("--continue", f"generated/{name}-2.wav", "--gen_samples", 50, on=None, short=False)
    run(*how, "--gen_samples", 400, "--output_dir", "longer", short=False)
    longer = Path("longer", f"{name}.wav").read_bytes()
    assert Path("generated", f"{name}-3.wav").read_bytes() == longer
    (continued,) = [clip for clip in made() if clip["wav"] == f"{name}-3.wav"]
    (whole,) = [clip for clip in made(Path("longer")) if clip["wav"] == f"{name}.wav"]
    assert continued["command"] == whole["command"]
    assert made()[0]["context_samples"] == 0  # the clip is longer than the context
    assert continued["bits_per_sample"] == pytest.approx(whole["bits_per_sample"])


@pytest.mark.parametrize("start", ["--conditional 1 --prompt_seconds 0.0005", "--conditional 0"])
def test_a_clip_shorter_than_the_context_is_continued(run, start: str) -> None:
    run(*start.split(), "--gen_samples", 3, short=False)
    (clip,) = made()
    context = Path("generated", clip["wav"]).with_suffix(".context")
    assert clip["context_samples"] == (context.stat().st_size if context.is_file() else 0)
    assert bool(clip["context_samples"]) == ("--conditional 1" in start)
    run("--continue", f"generated/{clip['wav']}", "--gen_samples", 197, on=None, short=False)
    run(*start.split(), "--output_dir", "longer")
    (longer,) = made(Path("longer"))
    assert np.array_equal(codes(Path("generated", made()[1]["wav"])), codes(Path("longer", longer["wav"])))
    if clip["context_samples"]:
        context.write_bytes(context.read_bytes()[1:])
        assert "must have" in run("--continue", f"generated/{clip['wav']}", on=None, status=1)
        context.unlink()
        assert "cannot be continued" in run("--continue", f"generated/{clip['wav']}", on=None, status=1)


def test_a_clip_of_an_earlier_version_is_continued(run, caplog: pytest.LogCaptureFixture) -> None:
    run("--conditional", 1)
    listed = made()
    del listed[0]["wav_sha256"], listed[0]["context_samples"]
    listed[0]["state"] = "clip.state"
    Path("generated/clips.json").write_text(json.dumps({"clips": listed}))
    caplog.clear()
    run("--continue", Path("generated", listed[0]["wav"]), on=None)
    assert [record.getMessage().count("earlier version") for record in caplog.records if record.levelname == "WARNING"]
    run("--conditional", 1, "--gen_samples", 400, "--output_dir", "longer", short=False)
    assert np.array_equal(*(codes(Path(folder, made(Path(folder))[-1]["wav"])) for folder in ("generated", "longer")))


def test_what_cannot_be_continued(run, trained: Path) -> None:
    run()
    wav = Path("generated/step2_seed0_temp1_silence_000.wav")
    go_on = lambda *more, **how: run("--continue", wav, *more, on=None, **how)  # noqa: E731
    assert "--seed cannot be given with --continue" in go_on("--seed", 1, status=2)
    other = torch.load(trained, weights_only=True)
    other["state_dict"]["network.output_conv.bias"] += 1
    torch.save(other, "other.ckpt")
    assert "other weights" in go_on("--ckpt_path", "other.ckpt", status=1)
    data = bytearray(wav.read_bytes())
    data[60] ^= 1
    wav.write_bytes(data)
    assert "has changed" in go_on(status=1)
    wav.rename("generated/other.wav")
    assert "it is not in generated/clips.json" in run("--continue", "generated/other.wav", on=None, status=1)
    assert "no clip" in go_on(status=1)


def test_live_gives_the_same_samples(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("--conditional", 1)
    written = Path("generated", made()[0]["wav"]).read_bytes()
    for option, skipped in (("raw", 44), ("wav", 0)):
        with (tmp_path / option).open("wb") as pipe:
            monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe, flush=pipe.flush))
            run("--conditional", 1, "--stdout", option, "--output_dir", "both")
        streamed = (tmp_path / option).read_bytes()
        assert streamed[44 - skipped :] == written[44:]
    assert Path("both", made()[0]["wav"]).read_bytes() == written
    (tmp_path / "alone").mkdir()
    monkeypatch.chdir(tmp_path / "alone")
    with (tmp_path / "alone.wav").open("wb") as pipe:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe, flush=pipe.flush))
        run("--stdout")
    assert not Path("generated").exists() and (tmp_path / "alone.wav").read_bytes()[:4] == b"RIFF"


def test_play(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert "sequnet_pl[play]" in run("--play", status=1)
    played: list[Any] = []

    class Stream:
        def __init__(self, **settings: Any) -> None:
            played.append(settings)

        def start(self) -> None: ...
        def stop(self) -> None: ...
        def close(self) -> None: ...
        def write(self, data: bytes) -> None:
            played.append(data)

    monkeypatch.setitem(
        sys.modules, "sounddevice", SimpleNamespace(RawOutputStream=Stream, PortAudioError=RuntimeError)
    )
    run("--play")
    assert played[0] == {"samplerate": RATE, "channels": 1, "dtype": "int16"}
    assert len(b"".join(played[1:])) == 400 and not Path("generated").exists()


def test_slower_than_real_time_is_said(run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("sequnet_pl.sampling.progress.time.perf_counter", iter(range(1000)).__next__)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=io.BytesIO(), flush=lambda: None))
    run("--stdout")
    assert caplog.text.count("slower than real time") == 1


def test_the_published_command(run, trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = "--conditional 1 --gen_samples 160 --features 4 --levels 3 --depth 1 --model sequnet --batch_size 2"
    run(*words.split(), "--num_batches", 3, "--snapshot_dir", trained.parent, on=None, short=False)
    assert len(made()) == 6 and "samples/s" in caplog.text and "real time" in caplog.text
