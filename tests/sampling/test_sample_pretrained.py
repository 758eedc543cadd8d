"""sample.py --pretrained: a network that comes with the package is sampled as a checkpoint of one's own."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sample_run import RATE, codes, made

from sequnet_pl import pretrained
from sequnet_pl.audio import files, mulaw
from sequnet_pl.cli.main import run_main
from sequnet_pl.pretrained.__main__ import export
from sequnet_pl.pretrained.excerpts import Excerpt, excerpts_of, write_excerpts
from sequnet_pl.report.clip import level
from sequnet_pl.training.export import write_export
from sequnet_pl.training.trained import load_trained


@pytest.fixture(autouse=True)
def tiny(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint of a network that comes with the package and is called tiny."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "shipped")
    return write_export(trained, tmp_path / "shipped" / "tiny", tmp_path)[0]


def clips(folder: str) -> list[np.ndarray]:
    return [codes(Path(folder, clip["wav"])) for clip in made(Path(folder))]


@pytest.mark.parametrize(
    "options",
    ["--batch_size 2 --temp 0.8 1 --seed 3 --model sequnet --levels 3", "--prompt {audio}/test/0.wav --weights bf16"],
)
def test_as_a_checkpoint(run: Callable[..., str], trained: Path, tiny: Path, options: str) -> None:
    words = options.format(audio=trained.parent / "audio").split()
    run(*words, "--output_dir", "own", on=tiny)
    run(*words, "--output_dir", "named", "--pretrained", "tiny", on=None)
    own, named = clips("own"), clips("named")
    assert len(own) == len(named) > 0
    assert all(np.array_equal(*pair) for pair in zip(own, named, strict=True))


def test_a_clip_says_how_it_is_made_again_and_can_be_gone_on_from(run: Callable[..., str]) -> None:
    run("--pretrained", "tiny", on=None)
    (clip,) = made()
    assert "sample.py --pretrained tiny " in clip["command"] and "--ckpt_path" not in clip["command"]
    run("--continue", Path("generated", clip["wav"]), on=None)
    assert clip["weights_sha256"] == load_trained(pretrained.weights_of("tiny")).digest


@pytest.fixture
def excerpts(tiny: Path) -> list[Excerpt]:
    """Three excerpts beside the weights of tiny."""
    random = np.random.default_rng(5)
    made = [Excerpt(random.integers(100, 156, 3000, np.uint8), f"/music/{name}.wav", 1.5) for name in "abc"]
    write_excerpts(tiny.parent, made)
    return made


def test_the_default_continues_excerpts(run: Callable[..., str], excerpts: list[Excerpt]) -> None:
    run("--pretrained", "tiny", "--batch_size", 4, "--prompt_seconds", 0.1, on=None)
    for number, clip in enumerate(made()):
        excerpt = excerpts[number % 3]
        assert clip["kind"] == "continuation" and clip["prompt_end"] == excerpt.end
        assert clip["prompt"] == Path(excerpt.source).name  # no folder of the machine that made them
        assert np.array_equal(codes(Path("generated", clip["wav"]))[:1600], excerpt.codes[-1600:])
    run(*shlex.split(made()[1]["command"])[2:], "--output_dir", "again", on=None, short=False)
    assert [clip.tobytes() for clip in clips("again")] == [clip.tobytes() for clip in clips("generated")]


def test_what_replaces_excerpts(run: Callable[..., str], excerpts: list[Excerpt], trained: Path) -> None:
    run("--pretrained", "tiny", "--conditional", 0, on=None)
    audio = trained.parent / "audio"
    run("--pretrained", "tiny", "--audio_dir", audio, on=None)
    run("--pretrained", "tiny", "--prompt", audio / "train/3.wav", "--prompt_seconds", 0.1, on=None)
    assert [(clip["kind"], Path(clip["prompt"]).parent.name) for clip in made()] == [
        ("silence", ""), ("continuation", "test"), ("prompt", "train")
    ]  # fmt: skip
    assert "--audio_dir has no use" in run(
        "--pretrained", "tiny", "--audio_dir", audio, "--conditional", 0, on=None, status=2
    )


def test_damaged_excerpts(run: Callable[..., str], excerpts: list[Excerpt], tiny: Path) -> None:
    (tiny.parent / "excerpts.npz").write_text("nothing")
    assert "no excerpts that can be read" in run("--pretrained", "tiny", on=None, status=1)


def test_an_export_has_excerpts_only_if_asked(trained: Path, tmp_path: Path, tiny: Path) -> None:
    assert not (tiny.parent / "excerpts.npz").exists() and excerpts_of("tiny") == []
    assert run_main("ship", export, [str(trained), str(tiny.parent), "--excerpts"]) == 0
    found = excerpts_of("tiny")
    context = load_trained(pretrained.weights_of("tiny")).network.window(1).inputs
    assert [len(excerpt.codes) for excerpt in found] == [context] * 8
    assert [excerpt.source for excerpt in found[:2]] in (["0.wav", "1.wav"], ["1.wav", "0.wav"])
    recordings = {
        name: mulaw.encode(files.read(trained.parent / "audio/test" / name, RATE)) for name in ("0.wav", "1.wav")
    }
    for excerpt in found:
        end = round(excerpt.end * RATE)
        assert np.array_equal(excerpt.codes, recordings[excerpt.source][end - context : end])
    assert "excerpts.npz" in (tiny.parent / "MODEL.md").read_text()


@pytest.mark.skipif("piano" not in pretrained.names(), reason="no weights are in the package")
def test_the_excerpts_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = excerpts_of("piano")
    context = load_trained(pretrained.weights_of("piano")).network.window(1).inputs
    assert len(found) == 8 and {len(excerpt.codes) for excerpt in found} == {context}
    assert len({excerpt.source for excerpt in found[:3]}) == 3
    assert all(level(mulaw.decode(excerpt.codes[-1600:])) > -40 for excerpt in found)


def test_recordings_must_be_named(run: Callable[..., str]) -> None:
    """Where those of the training were lies in no network that is given to others."""
    assert "--audio_dir" in run("--pretrained", "tiny", "--conditional", 1, on=None, status=1)


def test_what_does_not_go_together_is_one_line(run: Callable[..., str], trained: Path) -> None:
    assert "--pretrained and --ckpt_path cannot be given together" in run("--pretrained", "tiny", status=2)
    assert "--pretrained and --snapshot_dir" in run("--pretrained", "tiny", "--snapshot_dir", "x", on=None, status=2)
    assert "holds a sequnet" in run("--pretrained", "tiny", "--model", "wavenet", on=None, status=2)
    message = run("--pretrained", "piano", on=None, status=2)
    assert "no network piano comes with the package; bundled: tiny" in message
