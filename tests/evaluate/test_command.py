"""`python -m sequnet_pl.evaluate`: its files, its options and its messages."""

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from sequnet_pl.audio import files, mulaw
from sequnet_pl.cli.entry_points import sample
from sequnet_pl.cli.main import run_main
from sequnet_pl.evaluate.comparison import MEASURES, SETS
from sequnet_pl.sampling import clips as making
from sequnet_pl.training.trained import load_trained


def newest() -> Path:
    """The folder of the last evaluation, where the checkpoint is of no run."""
    return max(Path("generated").glob("*-sequnet-evaluation"))


def numbers(folder: Path | None = None) -> dict[str, Any]:
    return json.loads(((folder or newest()) / "evaluation.json").read_text())


def histogram(paths: list[Path], first: int, last: int, rate: int) -> np.ndarray:
    codes = np.concatenate([mulaw.encode(files.read(path, rate))[first:last] for path in paths])
    return np.bincount(codes, minlength=256) / len(codes)


def test_generated_clips(run, checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    printed = run("--clips", 5, "--batch_size", 3, "--temp", 0.9, "--top_k", 200)
    assert all(measure.name in printed for measure in MEASURES)
    assert "evaluation.html" in caplog.text and "x real time" in caplog.text
    found = numbers()
    assert sorted(path.name for path in newest().iterdir()) == ["evaluation.html", "evaluation.json"]
    assert found["clips"] == 5 and found["seconds"] == 0.256 and found["sample_rate"] == 8000
    assert found["settings"]["temp"] == 0.9 and "--temp 0.9" in found["command"]
    made = found["generated"]
    assert made["weights_sha256"] == load_trained(checkpoint).digest and made["checkpoint"] == str(checkpoint)
    assert made["kind"] == "continuation" and made["top_k"] == 200 and made["step"] == 3
    assert len(found["recordings"]) == 10 and {Path(r["file"]).parent.name for r in found["recordings"]} == {"test"}
    assert list(found["measures"]) == [measure.key for measure in MEASURES]
    frechet = found["measures"]["log_mel_frechet"]["distance"]
    assert (
        frechet["real"]["value"] < frechet["generated"]["value"]
        and frechet["real"]["value"] < frechet["noise"]["value"]
    )
    assert all(frechet[name]["error"] > 0 for name in SETS)
    page = unescape((newest() / "evaluation.html").read_text())
    body = page[page.index("<main>") : page.index("</main>")]
    assert body.count("<audio") == 8 and not re.search(r'(?:src|href)="(?!data:|#)', body)
    assert all(measure.name in page and measure.meaning in page for measure in MEASURES)
    assert re.search(
        r"<b>[^<]*: log-mel Fréchet distance [\d.]+ ± [\d.]+ dB; other recordings [\d.]+ ± [\d.]+ dB, noise [^<]*", page
    )
    first = found["features_of_clips"]["generated"]
    run("--clips", 5, "--temp", 0.9, "--top_k", 200)
    assert newest().name == "002-sequnet-evaluation"
    assert numbers()["features_of_clips"]["generated"] == first  # though in another batch
    run("--clips", 5, "--conditional", 0, "--temp", 0.9, "--top_k", 200)
    assert numbers()["features_of_clips"]["generated"] != first and numbers()["generated"]["kind"] == "silence"


@pytest.mark.parametrize("folder", [Path("generated"), Path("generated/001-mine")], ids=str)
def test_clips_of_sample_are_compared_without_their_prompts(
    run, checkpoint: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "save_spectrogram", lambda *_: None)
    words = f"--ckpt_path {checkpoint} --conditional 1 --prompt_seconds 0.5 --gen_samples 2100 --batch_size 4 --gpus 0"
    words += f" --output_dir {folder}"
    assert run_main("sample.py", sample, words.split()) == 0
    run("--clips_dir", "generated")
    found = numbers(Path("generated/evaluation"))
    wavs = sorted(folder.glob("*.wav"))
    assert found["generated"]["files"] == [str(path) for path in wavs] and found["clips"] == 4
    length = [json.loads((folder / "clips.json").read_text())["clips"][i]["prompt_samples"] for i in range(4)]
    expected = np.mean([histogram([wav], n, n + 2048, 8000) for wav, n in zip(wavs, length, strict=True)], axis=0)
    assert found["curves"]["code_histogram"]["generated"] == pytest.approx(expected)


def test_folders_alone_need_no_checkpoint(run, tmp_path: Path, recordings: Path) -> None:
    shutil.copytree(recordings / "test", "real")
    run("--clips_dir", recordings / "train", "--audio_dir", "real", "--sample_rate", 4000, on=None, status=1)
    for number in range(5):
        soundfile.write(f"{number}.flac", np.random.default_rng(number).uniform(-0.1, 0.1, (3000, 2)), 8000)
    run("--clips_dir", ".", "--audio_dir", "real", "--sample_rate", 4000, "--clips", 4, "--out", "out", on=None)
    found = numbers(Path("out"))
    assert found["sample_rate"] == 4000 and found["clips"] == 4
    assert {Path(recording["file"]).parent.name for recording in found["recordings"]} == {"real"}


def test_the_folder_of_the_training_gives_its_test_split_only(
    run, checkpoint: Path, recordings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    shutil.copytree(recordings / "test", "flat")
    for number in range(7):
        shutil.copy(recordings / "train" / "330.wav", f"flat/{number}.wav")
    content["datamodule_hyper_parameters"]["audio_dir"] = str(Path("flat").resolve())
    torch.save(content, "flat.ckpt")
    run("--clips", 4, "--audio_dir", "flat", on=Path("flat.ckpt"), status=0)
    assert len({recording["file"] for recording in numbers()["recordings"]}) == 1
    run("--clips_dir", "flat", on=Path("flat.ckpt"))  # ten clips, but real ones for five only
    assert numbers(Path("flat/evaluation"))["generated"]["files"] == [
        f"flat/{name}.wav" for name in ("1", "220", "4", "5", "6")
    ]
    run("--clips", 4, "--audio_dir", "flat")  # to another network all of it is new
    assert "all files count as held out: 10" in caplog.text
    assert len({recording["file"] for recording in numbers()["recordings"]}) == 8


def test_val_where_nothing_is_tested_but_never_train(
    run, checkpoint: Path, recordings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    shutil.copytree(recordings / "train", "music/train")
    content["datamodule_hyper_parameters"]["audio_dir"] = str(Path("music").resolve())
    torch.save(content, "own.ckpt")
    assert "are held out" in run("--clips", 4, on=Path("own.ckpt"), status=1)
    assert "no recordings to compare with" in run("--clips", 4, "--audio_dir", "music", status=1)
    shutil.copytree(recordings / "test", "music/val")
    run("--clips", 4, "--audio_dir", "music")
    assert {Path(recording["file"]).parent.name for recording in numbers()["recordings"]} == {"val"}
    content["datamodule_hyper_parameters"]["data_dir"] = "data2"
    torch.save(content, "own.ckpt")
    run("--clips", 4, on=Path("own.ckpt"))
    assert "there are no test recordings" in caplog.text


def test_the_result_lies_in_the_run(run, checkpoint: Path) -> None:
    Path("logs/sequnet/mine/checkpoints").mkdir(parents=True)
    config = "model: {class_path: sequnet_pl.models.sequnet.SeqUNet}\n"
    Path("logs/sequnet/mine/config.yaml").write_text(config)
    shutil.copy(checkpoint, "logs/sequnet/mine/checkpoints/last.ckpt")
    run("--clips", 4, "--gpus", 0, on=None)
    assert numbers(Path("logs/sequnet/mine/evaluation"))["clips"] == 4
    assert 'href="evaluation/evaluation.html"' in Path("logs/sequnet/mine/report.html").read_text()
    run("--clips", 4, "--gpus", 0, "--out", "else where", on=None)
    report = Path("logs/sequnet/mine/report.html").read_text()
    assert 'href="../../../else%20where/evaluation.html">evaluation in else where' in report
    page = Path("else where/evaluation.html").read_text()
    assert "<h1>mine: generated clips against recordings</h1>" in page
    assert 'href="../logs/sequnet/mine/report.html"' in page


@pytest.mark.parametrize("name", ["evaluation.json", "evaluation.html"])
def test_files_of_others_are_kept(run, name: str) -> None:
    Path("out").mkdir()
    Path("out", name).write_text("{}")
    assert "--output_dir" in run("--clips", 4, "--output_dir", "out", status=1)
    assert [path.name for path in Path("out").iterdir()] == [name] and Path("out", name).read_text() == "{}"


@pytest.mark.parametrize(
    ("status", "words", "message"),
    [
        (2, "--clip 1", "did you mean --clips?"),
        (2, "--clips 3", "--clips is 3, but must be 4 or more"),
        (2, "--seconds 0.1", "clips of 0.1 s are shorter than the longest frame"),
        (2, "--conditional 2", '"conditional": '),
        (2, "--resamples 1", "--resamples is 1, but must be 2 or more"),
        (2, "--seed -1", '"seed": -1 does not conform to restriction'),
        (2, "--sample_rate 8000", "--sample_rate is the checkpoint's"),
        (2, "--clips_dir x --temp 0.9", "--temp cannot be given with --clips_dir"),
        (2, "--clips_dir x --audio_dir y", "--ckpt_path has no use"),
        (2, "--pretrained sequnet", "--pretrained and --ckpt_path"),
        (2, "--levels 5", "leave --levels out"),
        (1, "--seconds 2", "have 3 segments of 2 s, but at least 8 are needed"),
        (1, "--clips_dir nowhere", "there is no folder nowhere"),
        (1, "--audio_dir nowhere", "there is no folder nowhere"),
    ],
)
def test_mistakes(run, status: int, words: str, message: str) -> None:
    assert message in run(*words.split(), status=status, short=False)
    assert not Path("generated").exists(), "an error leaves no folder"
