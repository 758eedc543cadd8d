"""sample.py --pretrained: a network that comes with the package is sampled as a checkpoint of one's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sample_run import codes, made

from sequnet_pl import pretrained
from sequnet_pl.training.shipping import write_shipped
from sequnet_pl.training.trained import load_pretrained


@pytest.fixture(autouse=True)
def tiny(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint of a network that comes with the package and is called tiny."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "shipped")
    return write_shipped(trained, tmp_path / "shipped" / "tiny", tmp_path)[0]


def clips(folder: str) -> list[np.ndarray]:
    return [codes(Path(folder, clip["wav"])) for clip in made(Path(folder))]


@pytest.mark.parametrize(
    "options",
    [
        "--batch_size 2 --temp 0.8 1 --seed 3",
        "--prompt {audio}/test/0.wav --prompt_seconds 0.1",
        "--engine eager --double",
        "--engine native --weights bf16",
        "--weights int8",
        "--model sequnet --levels 3",
    ],
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
    assert clip["weights_sha256"] == load_pretrained("tiny").digest


def test_recordings_of_a_folder(run: Callable[..., str], trained: Path) -> None:
    """Where those of the training were lies in no network that is given to others."""
    said = run("--pretrained", "tiny", "--conditional", 1, on=None, status=1)
    assert "--audio_dir" in said
    run("--pretrained", "tiny", "--conditional", 1, "--audio_dir", trained.parent / "audio", on=None)
    assert made()[0]["kind"] == "continuation"


def test_what_does_not_go_together_is_one_line(run: Callable[..., str], trained: Path) -> None:
    assert "--pretrained and --ckpt_path cannot be given together" in run("--pretrained", "tiny", status=2)
    assert "--pretrained and --snapshot_dir" in run("--pretrained", "tiny", "--snapshot_dir", "x", on=None, status=2)
    assert "holds a sequnet" in run("--pretrained", "tiny", "--model", "wavenet", on=None, status=2)
    said = run("--pretrained", "piano", on=None, status=2)
    assert "no network piano comes with the package: there are tiny" in said
