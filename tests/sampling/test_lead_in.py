"""sample.py from silence: clips begin with their first sound, and silent ones are drawn anew."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from sample_run import RATE, codes, made

from sequnet_pl.audio import mulaw
from sequnet_pl.report.clip import level

FRAME = RATE // 50


@pytest.fixture
def quiet(trained: Path, tmp_path: Path) -> Path:
    """A network that gives silence for silence, and noise with a small probability for each sample."""
    return biased(trained, tmp_path, 11.5)


def biased(trained: Path, folder: Path, bias: float) -> Path:
    content = torch.load(trained, weights_only=True)
    state = content["state_dict"]
    state["network.output_conv.weight"] *= 0
    state["network.output_conv.bias"] *= 0
    state["network.output_conv.bias"][mulaw.SILENCE] = bias
    torch.save(content, folder / "quiet.ckpt")
    return folder / "quiet.ckpt"


def test_a_clip_begins_with_its_first_sound(run, quiet: Path) -> None:
    words = ["--batch_size", 4, "--seed", 3, "--gen_samples", 2000]
    run(*words, "--lead_in", 0, "--gen_samples", 40_000, "--output_dir", "uncut", on=quiet, short=False)
    run(*words, on=quiet, short=False)
    whole = [codes(Path("uncut", clip["wav"])) for clip in made(Path("uncut"))]
    cuts = []
    for clip, uncut in zip(made(), whole, strict=True):
        frames = np.square(mulaw.decode(uncut)).reshape(-1, FRAME).mean(axis=1)
        begin = int(np.flatnonzero(10 * np.log10(frames) > -60)[0]) * FRAME
        assert clip["lead_in_samples"] == begin and clip["seed"] == 3 and clip["samples"] == 2000
        assert np.array_equal(codes(Path("generated", clip["wav"])), uncut[begin : begin + 2000])
        cuts.append(begin)
    assert max(cuts) > 0
    last = made()[-1]
    run(*shlex.split(last["command"])[2:], "--output_dir", "again", on=None, short=False)
    assert [clip for clip in made(Path("again")) if clip["clip"] == 3] == [last]
    assert Path("again", last["wav"]).read_bytes() == Path("generated", last["wav"]).read_bytes()


def test_a_clip_whose_silence_was_cut_is_continued(run, quiet: Path) -> None:
    words = ["--first_clip", 1, "--seed", 3]
    run(*words, "--gen_samples", 10, on=quiet, short=False)
    (clip,) = made()
    run("--continue", Path("generated", clip["wav"]), "--gen_samples", 190, on=None, short=False)
    run(*words, "--output_dir", "longer", on=quiet)
    (longer,) = made(Path("longer"))
    assert np.array_equal(codes(Path("generated", made()[1]["wav"])), codes(Path("longer", longer["wav"])))
    assert made()[1]["lead_in_samples"] == longer["lead_in_samples"] and made()[1]["command"] == longer["command"]


def test_silent_clips_are_drawn_anew(run, quiet: Path, caplog: pytest.LogCaptureFixture) -> None:
    run("--batch_size", 5, "--seed", 3, "--lead_in", 0.02, on=quiet)
    clips = made()
    assert sorted(clip["clip"] for clip in clips) == list(range(5))
    assert {3, 1_000_003} <= {clip["seed"] for clip in clips} and "drawn again" in caplog.text
    for clip in clips:
        assert clip["silent"] == (level(mulaw.decode(codes(Path("generated", clip["wav"])))) < -60)
        run(*shlex.split(clip["command"])[2:], "--output_dir", "again", on=None, short=False)
        assert Path("again", clip["wav"]).read_bytes() == Path("generated", clip["wav"]).read_bytes()


def test_a_clip_that_stays_silent_is_marked(
    run, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run("--lead_in", 0.1, on=biased(trained, tmp_path, 30), own_folder=True)
    (clip,) = made(Path("generated/001-sequnet"))
    assert clip["silent"] and clip["seed"] == 3_000_000 and clip["samples"] == 200 and clip["lead_in_samples"] == 0
    assert "clips: 1, silent (level below -60 dBFS): 1" in caplog.text
    assert ">silent<" in Path("generated/001-sequnet/index.html").read_text()
    assert "silent: 1" in Path("generated/index.html").read_text()
    run(*shlex.split(clip["command"])[2:], "--output_dir", "again", on=None, short=False)
    (again,) = made(Path("again"))
    assert again == clip


def test_each_call_has_its_folder_and_a_link(run) -> None:
    for _ in range(2):
        run("--gen_samples", 20, own_folder=True, short=False)
    run("--gen_samples", 20, "--output_dir", "generated/mine", short=False)
    page = Path("generated/index.html").read_text()
    for name in ("001-sequnet", "002-sequnet", "mine"):
        assert f'href="{name}/index.html">{name}</a>: clips: 1, silent: 0; from silence; sequnet, step 2' in page
    assert 'href="../index.html">all clips</a>' in Path("generated/001-sequnet/index.html").read_text()
    run("--gen_samples", 20, own_folder=True, on=Path("none.ckpt"), status=1, short=False)
    run("--prompt", "none.wav", own_folder=True, status=1)
    assert sorted(path.name for path in Path("generated").iterdir()) == [
        "001-sequnet", "002-sequnet", "index.html", "mine"
    ]  # fmt: skip


def test_the_log_counts_what_was_drawn(run, quiet: Path, caplog: pytest.LogCaptureFixture) -> None:
    run("--seed", 3, "--first_clip", 1, on=quiet)
    (clip,) = made()
    (seconds,) = re.findall(r"([\d.]+) s drawn in", caplog.text)
    assert float(seconds) >= (clip["lead_in_samples"] + 200) / RATE - 0.01


def test_less_than_a_frame_of_silence_is_not_cut(run) -> None:
    run("--lead_in", 0.019)
    (clip,) = made()
    assert clip["seed"] == 0 and clip["lead_in_samples"] == 0 and not clip["silent"]
