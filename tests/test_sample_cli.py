"""sample.py, in process, on tiny networks: what it makes, makes again and continues, and what it says of mistakes."""

import errno
import io
import json
import os
import shlex
import shutil
import signal
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile
import torch

from sequnet_pl import atomic
from sequnet_pl.audio import files, mulaw
from sequnet_pl.audio.pcm import GrowingWav, read_codes
from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.sample import sample
from sequnet_pl.cli.sample_progress import SampleProgress
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.report.spectrogram import save_spectrogram
from sequnet_pl.sampling import clips as making
from sequnet_pl.training.checkpoints import WholeCheckpointIO
from sequnet_pl.training.module import SeqUNetModule

SNAPSHOTS = Path(__file__).parent / "fixtures" / "snapshots"
RATE = 16_000


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a tiny Seq-U-Net, two steps old; the recordings lie beside it."""
    folder = tmp_path_factory.mktemp("trained")
    random = np.random.default_rng(0)
    for index in range(6):
        path = folder / "audio" / ("test" if index < 2 else "train") / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, random.uniform(-0.3, 0.3, RATE // 2), RATE)
    torch.manual_seed(0)
    data = AudioDataModule(
        audio_dir=str(folder / "audio"), data_dir=str(folder / "data"), output_size=64, batch_size=2, num_workers=0
    )
    trainer = pl.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[WholeCheckpointIO()],
        limit_val_batches=0,
    )
    trainer.fit(SeqUNetModule(levels=3, features=4, depth=1, kernel_size=3), data)
    trainer.save_checkpoint(folder / "last.ckpt")
    return folder / "last.ckpt"


@pytest.fixture
def run(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Run sample.py on the checkpoint, short clips on the CPU if nothing else is said; gives the line on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(making, "save_spectrogram", lambda *_: None)  # what takes most of the time
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are too small for more

    def run(*argv: object, status: int = 0, on: Path | None = trained, short: bool = True) -> str:
        words = [str(word) for word in argv]
        words += ["--ckpt_path", str(on)] if on else []
        words += ["--gen_samples", "200"] if short else []
        words += [] if {"--gpus", "--cuda"} & set(words) else ["--gpus", "0"]
        capfd.readouterr()
        assert run_main("sample.py", sample, words) == status
        error = capfd.readouterr().err
        lines = [line for line in error.splitlines() if "sample.py: " in line]
        assert "Traceback" not in error and len(lines) == (status > 0)
        return "".join(lines)

    yield run
    torch.set_num_threads(threads)


def made(folder: Path = Path("generated")) -> list[dict[str, Any]]:
    return json.loads((folder / "clips.json").read_text())["clips"]


def codes(path: Path) -> np.ndarray:
    return np.concatenate(list(read_codes(path)))


def test_continuations_of_test_recordings(run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "save_spectrogram", save_spectrogram)
    run("--conditional", 1, "--prompt_seconds", 0.1, "--batch_size", 2, "--temp", 0.9)
    assert sorted(path.name for path in Path("generated").iterdir()) == sorted(
        ["clips.json", "index.html"]
        + [f"step2_seed0_temp0.9_continuation_00{n}.{end}" for n in (0, 1) for end in ("wav", "png", "state")]
    )
    for clip in made():
        wav = Path("generated", clip["wav"])
        assert soundfile.info(wav).subtype == "PCM_16" and soundfile.info(wav).samplerate == RATE
        assert clip["samples"] == len(codes(wav)) == clip["prompt_samples"] + 200
        assert Path(clip["prompt"]).parent.name == "test"
        recording = mulaw.encode(files.read(Path(clip["prompt"]), RATE))
        end, heard = round(clip["prompt_end"] * RATE), clip["prompt_samples"]
        assert np.array_equal(codes(wav)[:heard], recording[end - heard : end])
        assert 0 < clip["bits_per_sample"] < 20 and clip["complete"]
    page = Path("generated/index.html").read_text()
    assert all(clip["wav"] in page.replace("<wbr>", "") for clip in made())


@pytest.mark.parametrize("start", ["--conditional 1", "--conditional 0"])
def test_any_batch_size_gives_the_same_codes_in_float64(run, start: str) -> None:
    for size in (1, 2, 5):
        words = f"{start} --double --batch_size {size} --num_batches {10 // size} --gen_samples 50 --output_dir {size}"
        run(*words.split(), short=False)
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


def test_continuing_equals_one_longer_run(run) -> None:
    run("--batch_size", 3, "--conditional", 1)
    name = "step2_seed0_temp1_continuation_001"
    run("--continue", f"generated/{name}.wav", "--gen_samples", 150, on=None, short=False)
    run("--continue", f"generated/{name}-2.wav", "--gen_samples", 50, on=None, short=False)
    run("--batch_size", 3, "--conditional", 1, "--gen_samples", 400, "--output_dir", "longer", short=False)
    longer = Path("longer", f"{name}.wav").read_bytes()
    assert Path("generated", f"{name}-3.wav").read_bytes() == longer
    (continued,) = [clip for clip in made() if clip["wav"] == f"{name}-3.wav"]
    (whole,) = [clip for clip in made(Path("longer")) if clip["wav"] == f"{name}.wav"]
    assert continued["command"] == whole["command"]
    assert continued["bits_per_sample"] == pytest.approx(whole["bits_per_sample"])


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
    wav.with_suffix(".state").write_bytes(b"nonsense")
    assert "damaged" in go_on(status=1)
    wav.with_suffix(".state").unlink()
    assert "cannot be continued" in go_on(status=1)
    wav.unlink()
    assert "no clip" in go_on(status=1)


def test_other_clips_are_never_overwritten(run) -> None:
    run()
    first = Path("generated/step2_seed0_temp1_silence_000.wav").read_bytes()
    run("--top_k", 3)
    run()
    assert len(made()) == 2
    assert Path("generated/step2_seed0_temp1_silence_000.wav").read_bytes() == first
    assert Path("generated/step2_seed0_temp1_silence_000-2.wav").is_file()


def test_live_gives_the_same_samples(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("--conditional", 1)
    written = Path("generated", made()[0]["wav"]).read_bytes()
    for option, skipped in (("raw", 44), ("wav", 0)):
        with (tmp_path / option).open("wb") as pipe:
            monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe))
            run("--conditional", 1, "--stdout", option, "--output_dir", "both")
        streamed = (tmp_path / option).read_bytes()
        assert streamed[44 - skipped :] == written[44:]
    assert Path("both", made()[0]["wav"]).read_bytes() == written
    monkeypatch.chdir(tmp_path_for(tmp_path, "alone"))
    with (tmp_path / "alone.wav").open("wb") as pipe:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe))
        run("--stdout")
    assert not Path("generated").exists() and (tmp_path / "alone.wav").read_bytes()[:4] == b"RIFF"


def tmp_path_for(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def test_play(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert "sequnet_pl[play]" in run("--play", status=1)
    heard: list[Any] = []

    class Stream:
        def __init__(self, **settings: Any) -> None:
            heard.append(settings)

        def start(self) -> None: ...
        def stop(self) -> None: ...
        def close(self) -> None: ...
        def write(self, data: bytes) -> None:
            heard.append(data)

    monkeypatch.setitem(
        sys.modules, "sounddevice", SimpleNamespace(RawOutputStream=Stream, PortAudioError=RuntimeError)
    )
    run("--play")
    assert heard[0] == {"samplerate": RATE, "channels": 1, "dtype": "int16"}
    assert len(b"".join(heard[1:])) == 400 and not Path("generated").exists()


def test_slower_than_real_time_is_said(run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("sequnet_pl.cli.sample_progress.time.perf_counter", iter(range(1000)).__next__)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=io.BytesIO()))
    run("--stdout")
    assert caplog.text.count("slower than real time") == 1


def test_the_published_command(run, trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = "--conditional 1 --gen_samples 160 --features 4 --levels 3 --depth 1 --model sequnet --batch_size 2"
    run(*words.split(), "--num_batches", 3, "--snapshot_dir", trained.parent, on=None, short=False)
    assert len(made()) == 6 and "samples/s" in caplog.text and "real time" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("flag", ["--cuda", "--gpus 1"])
def test_without_a_gpu(run, flag: str) -> None:
    assert "--gpus 0" in run(*flag.split(), status=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--tmp 1", "did you mean --temp?"),
        ("stray", "no option stray"),
        ("--temp warm", "--temp: expected float, got warm"),
        ("--temp -0.1", "temperature is -0.1"),
        ("--top_k 0", "top_k is 0"),
        ("--top_k 257", "top_k is 257"),
        ("--top_p 0", "top_p is 0"),
        ("--top_p 1.1", "top_p is 1.1"),
        ("--conditional 2", "expected 0, 1, got 2"),
        ("--batch_size 0", "--batch_size is 0"),
        ("--num_batches 0", "--num_batches is 0"),
        ("--gen_samples 0", "--gen_samples is 0"),
        ("--seconds -1", "--seconds is -1"),
        ("--seconds 1e-9", "less than one sample"),
        ("--seconds 1 --gen_samples 3", "cannot be given together"),
        ("--seed -1", "--seed is -1"),
        ("--prompt x.wav --prompt_seconds 0", "--prompt_seconds is 0"),
        ("--prompt x.wav --prompt_seconds 1e-9", "shorter than one sample"),
        ("--prompt x.wav --conditional 0", "cannot be given together"),
        ("--cuda --gpus 0", "contradict"),
        ("--gpus 2", "one GPU"),
        ("--stdout --batch_size 2", "takes one clip"),
        ("--stdout --play", "cannot be given together"),
        ("--engine steam", "--engine"),
        ("--weights float8", "--weights"),
        ("--levels 11", "has levels 3; leave --levels out"),
        ("--levels 0", "has levels 3"),
        ("--layers 13", "holds a sequnet, which has no layers"),
        ("--model wavenet", "holds a sequnet; leave --model out"),
        ("--model sequent", "--model: expected"),
        ("--snapshot_dir .", "leave one out"),
    ],
)
def test_usage(run, words: str, said: str) -> None:
    assert said in run(*words.split(), status=2, short=False)
    assert not Path("generated").exists()


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
    assert "do not fit" in on(Path("mixed.ckpt"))
    Path("folder").mkdir()
    assert "no checkpoint in" in on(Path("folder"))
    assert "train one first" in run(on=None, status=1)
    assert "train one first" in run("--ckpt_path", "best", on=None, status=1)


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


def test_the_newest_run_and_best(run, trained: Path) -> None:
    for name, age in (("old", 100), ("new", 0)):
        folder = Path("logs/sequnet", name)
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.yaml").write_text("model:\n  class_path: sequnet_pl.training.module.SeqUNetModule\n")
        for file in ("last.ckpt", "best-step00000002.ckpt"):
            path = folder / "checkpoints" / file
            content = torch.load(trained, weights_only=True)
            content["callbacks"] = {"best": {"current_score": torch.tensor(1.0)}}
            torch.save(content, path)
            os.utime(path, (path.stat().st_atime - age,) * 2)
    for words, expected in (
        ("", "new/checkpoints/last"),
        ("--ckpt_path last", "new/checkpoints/last"),
        ("--ckpt_path best", "new/checkpoints/best"),
        ("--ckpt_path best --snapshot_dir logs/sequnet/old/checkpoints", "old/checkpoints/best"),
        ("--snapshot_dir logs/sequnet/old", "old/checkpoints/best"),
    ):
        run(*words.split(), "--output_dir", words or "none", on=None)
        assert expected in made(Path(words or "none"))[0]["checkpoint"]


def test_recordings_that_have_moved(run, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = torch.load(trained, weights_only=True)
    shutil.copytree(trained.parent / "audio", "audio")
    content["datamodule_hyper_parameters"]["audio_dir"] = str(tmp_path / "audio")
    content["datamodule_hyper_parameters"]["data_dir"] = str(tmp_path / "data")
    torch.save(content, "moved.ckpt")
    moved = Path("moved.ckpt")
    run("--conditional", 1, on=moved)
    shutil.rmtree("audio")
    run("--conditional", 1, on=moved)  # their codes are still there
    shutil.rmtree("data")
    assert "--audio_dir" in run("--conditional", 1, on=moved, status=1)
    run("--conditional", 1, "--audio_dir", trained.parent / "audio", on=moved)
    run("--conditional", 1, "--audio_dir", trained.parent / "audio" / "test", "--output_dir", "two", on=moved)
    assert "go on from those of train" in caplog.text


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


def test_a_prompt_of_another_rate_and_stereo(run, caplog: pytest.LogCaptureFixture) -> None:
    times = np.arange(22_050) / 22_050
    tone = np.sin(2 * np.pi * 440 * times) / 2
    soundfile.write("tone.wav", np.stack((tone, tone), axis=1), 22_050)
    run("--prompt", "tone.wav", "--prompt_start", 0.25, "--prompt_seconds", 0.5)
    assert "22050 Hz, channels: 2; read as mono at 16000 Hz" in caplog.text
    clip = made()[0]
    assert clip["prompt_samples"] == 8000 and clip["prompt_end"] == 0.75
    heard = mulaw.decode(codes(Path("generated", clip["wav"])))[:8000]
    expected = np.sin(2 * np.pi * 440 * (0.25 + np.arange(8000) / RATE)) / 2
    assert np.abs(heard - expected)[100:-100].max() < 0.05


def test_snapshots_of_the_published_implementation(run, tmp_path: Path) -> None:
    for number in (5, 40):
        Path("steps").mkdir(exist_ok=True)
        content = torch.load(SNAPSHOTS / "sequnet_l2_f5_d3_k7" / "checkpoint_300", weights_only=True)
        torch.save(content | {"step": number}, f"steps/checkpoint_{number}")
    run("--snapshot_dir", "steps", on=None)
    wavenet = SNAPSHOTS / "wavenet_4x2"
    assert "13 layers a block do not divide" in run(on=wavenet, status=1)
    run("--layers", 4, "--model", "wavenet", on=wavenet)
    assert "has blocks 2" in run("--layers", 4, "--blocks", 3, on=wavenet, status=2)
    assert [(clip["step"], clip["network"]) for clip in made()] == [(40, "sequnet"), (300, "wavenet")]


def test_the_published_weights_are_fetched(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    with zipfile.ZipFile(site / "models.zip", "w") as archive:
        archive.write(SNAPSHOTS / "sequnet_l2_f5_d3_k7" / "checkpoint_300", "snapshots/sequnet/checkpoint_300")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/models.zip"
        Path("pretrained.yaml").write_text(f"{{address: '{address}', sha256: null, most_bytes: 1000000}}")
        monkeypatch.setattr("sequnet_pl.cli.sample_network.CONFIGS", tmp_path)
        monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
        run("--pretrained", "sequnet", on=None)
        server.shutdown()
    run("--pretrained", "sequnet", "--temp", 0, on=None)  # it is there already
    assert [clip["step"] for clip in made()] == [300, 300]
    assert "no snapshots of wavenet" in run("--pretrained", "wavenet", on=None, status=1)


def interrupt(self: SampleProgress, block: Any) -> None:
    signal.raise_signal(signal.SIGINT)


def test_interrupted(run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(making, "save_spectrogram", save_spectrogram)
    run("--seed", 1)
    monkeypatch.setattr(SampleProgress, "advance", interrupt)
    assert "interrupted" in run("--batch_size", 2, status=130)
    clips = made()
    assert [clip["complete"] for clip in clips] == [True, False, False]
    for clip in clips[1:]:
        assert 0 < clip["samples"] == len(codes(Path("generated", clip["wav"]))) < 200
        assert clip["spectrogram"] and not clip["state"]
    assert "cut short" in Path("generated/index.html").read_text()
    assert "what was made is kept" in caplog.text
    assert "cannot be continued" in run("--continue", Path("generated", clips[1]["wav"]), on=None, status=1)


def test_interrupted_at_the_picture(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "save_spectrogram", lambda *_: signal.raise_signal(signal.SIGINT))
    run("--batch_size", 2, status=130)
    assert [(clip["complete"], clip["spectrogram"]) for clip in made()] == [(True, ""), (True, "")]
    assert all(Path("generated", clip["wav"]).is_file() for clip in made())


def test_no_space_while_a_clip_grows(run, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = iter(range(100))

    def write(self: GrowingWav, values: np.ndarray) -> None:
        if next(writes) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, values)

    real = GrowingWav.write
    monkeypatch.setattr(GrowingWav, "write", write)
    assert "No space left" in run("--num_batches", 2, "--gen_samples", 100, status=1, short=False)
    complete = {clip["wav"]: clip["complete"] for clip in made()}
    assert list(complete.values()) == [True, False]
    assert all(len(codes(Path("generated", wav))) for wav in complete)


def test_no_space_for_files(run, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    before = {path.name: path.read_bytes() for path in Path("generated").iterdir()}

    def publish(temporary: Path, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "_publish", publish)
    assert "No space left" in run("--seed", 5, status=1)
    assert {path.name: path.read_bytes() for path in Path("generated").iterdir()} == before


def test_no_space_for_the_picture_keeps_the_sound(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "save_spectrogram", save_spectrogram)
    real = atomic._publish

    def publish(temporary: Path, path: Path) -> None:
        if path.suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(temporary, path)

    monkeypatch.setattr(atomic, "_publish", publish)
    assert "No space left" in run(status=1)
    assert len(codes(Path("generated", made()[0]["wav"]))) == 200


def test_logits_that_are_not_numbers(run, trained: Path) -> None:
    content = torch.load(trained, weights_only=True)
    content["state_dict"]["network.output_conv.bias"][3] = torch.nan
    torch.save(content, "nan.ckpt")
    for engine in ("eager", "auto"):
        said = run("--batch_size", 2, "--engine", engine, on=Path("nan.ckpt"), status=1)
        assert "nan.ckpt, step 2: " in said and "not numbers" in said
    assert not list(Path("generated").iterdir())


def test_folders_that_cannot_be(run) -> None:
    Path("file").touch()
    assert "file/below" in run("--output_dir", "file/below", status=1)
    Path("generated").mkdir()
    Path("generated/clips.json").write_text("not a list")
    assert "not a list of clips" in run(status=1)


def test_help_has_an_option_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        sample(["--help"])
    assert not end.value.code
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 140
    options = [line for line in lines if line.startswith("  -")]
    assert len(options) > 30 and len(options) + 20 > len(lines)
