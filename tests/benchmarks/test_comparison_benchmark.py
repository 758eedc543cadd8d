"""A comparison of tiny networks: it is continued where it was stopped, and its report has every line."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import comparison
from benchmarks.comparison import SCALES, Scale
from benchmarks.sampling import NETWORKS
from sequnet_pl.audio.files import SAMPLE_RATE, write_wav
from sequnet_pl.errors import UsageError, UserError

SHORT = ("--epochs=-1", "--num_workers=0", "--sample_audio.every_n_epochs=0", "--trainer.check_val_every_n_epoch=null")
SIZES = ("--max_steps=3", "--output_size=256", "--batch_size=2", "--log_interval=1", "--trainer.val_check_interval=2")
TINY = Scale(("sequnet-small", "wavenet-small"), (*SHORT, *SIZES), 4, 0.3, 0.1, repetition=0.01)
FOUND = {
    "train sequnet": {"parameters": 200, "receptive_field": 90},
    "train wavenet": {"parameters": 100, "receptive_field": 100},
    "test sequnet": {"accuracy": 0.25, "bits_per_sample": {"bigram baseline": 4.0, "this network": 3.0}},
    "test wavenet": {"accuracy": 0.5, "bits_per_sample": {"bigram baseline": 4.0, "this network": 2.0}},
    "training": {"seconds": [0.1, 0.5], "megabytes": [50, 100]},
    "sampling": {"1": [500, 100], "16": [300, 100]},
} | {
    f"evaluate {network}": {
        "silent": silent,
        "distance": {
            name: {"value": value, "error": 1.25}
            for name, value in (("generated", generated), ("real", 13.0), ("noise", 150.0))
        },
    }
    for network, generated, silent in (("sequnet", 60.0, 0.0), ("wavenet", 30.0, 0.125))
}


def test_a_training_that_cannot_be_timed_is_an_error(monkeypatch):
    def measure(rows, settings):
        rows[1].error = "out of memory"

    monkeypatch.setattr(comparison.training, "measure", measure)
    with pytest.raises(UserError, match="training of wavenet-small: out of memory"):
        comparison.training_speeds(TINY, {"output_size": 256, "batch_size": 2}, gpus=0)


@pytest.mark.slow  # ten processes that import Lightning
def test_stopped_in_the_middle_it_is_continued_and_reports_every_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(SCALES, "tiny", TINY)
    for name, pitch in (("train/0", 220), ("val/0", 220), ("test/0", 220), ("test/1", 440)):
        sound = 0.5 * np.sin(2 * np.pi * pitch * np.arange(20_000) / SAMPLE_RATE)
        write_wav(tmp_path / "music" / f"{name}.wav", sound, SAMPLE_RATE)
    argv = ["--scale=tiny", "--audio_dir=music", "--gpus=0"]
    run, commands = comparison._run, []

    def stop_at_wavenet_test(*command: str) -> None:
        commands.append(command)
        if "test" in command and "wavenet" in " ".join(command):
            raise KeyboardInterrupt
        run(*command)

    monkeypatch.setattr(comparison, "_run", stop_at_wavenet_test)
    with pytest.raises(KeyboardInterrupt):
        comparison.main(argv)
    before = json.loads(Path("comparison/tiny/results.json").read_text())["stages"]
    assert list(before) == ["train sequnet", "train wavenet", "test sequnet", "evaluate sequnet"]

    commands.clear()
    monkeypatch.setattr(comparison, "_run", lambda *command: commands.append(command) or run(*command))
    comparison.main(argv)
    assert [Path(command[0]).name for command in commands] == ["train.py", "sample.py", "-m"]
    found = json.loads(Path("comparison/tiny/results.json").read_text())["stages"]
    assert before.items() <= found.items()

    page, text = (Path("comparison/tiny", name).read_text() for name in ("report.html", "report.md"))
    assert all("| " + " | ".join(cells) + " |" in text for cells in comparison.table(found))
    assert "log-mel Fréchet distance" in text and page.count('class="plot"') == 3
    assert "No claim is reached" in text  # after three steps
    clips = [json.loads(path.read_text())["clips"] for path in Path("comparison").rglob("clips/clips.json")]
    keys = ("clip", "prompt", "prompt_end", "seed")
    assert len(clips) == 2
    assert [[clip[key] for key in keys] for clip in clips[0]] == [[clip[key] for key in keys] for clip in clips[1]]

    commands.clear()
    comparison.main(argv)
    assert not commands


def test_ratios_errors_and_claims():
    lines = {name: cells for name, *cells in comparison.table(FOUND)}
    assert lines["bits per sample, test"] == ["3.000", "2.000", "1.50", "as good: not reached"]
    frechet = lines["log-mel Fréchet distance (other recordings 13.0, noise 150.0), dB"]
    assert frechet == ["60.0 ± 1.2", "30.0 ± 1.2", "2.00", "–"]
    assert lines["silent clips"] == ["0%", "12%", "0.00", "–"]
    assert lines["training: peak memory, MB"] == ["50", "100", "0.50", "less: reached"]
    for clips, ratio, reached in ((1, "5.00", "reached"), (16, "3.00", "not reached")):
        cells = lines[f"sampling: steps a second, clips: {clips}"]
        assert cells[2:] == [ratio, f"over 4 times as fast: {reached}"]


def test_no_claim_is_reached_by_networks_that_are_worse_than_the_bigram_baseline():
    found = copy.deepcopy(FOUND)
    found["test wavenet"]["bits_per_sample"]["this network"] = 4.5
    assert comparison.worse_than_bigram(found).startswith("No claim is reached: WaveNet has 4.500 bits per sample")
    assert {claim.rpartition(": ")[2] for *_, claim in comparison.table(found)} == {"–", "not reached"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scale=tine"], "scale"),
        (["--scale=tiny", "--gpus=-1"], "gpus"),
        (["--scale=tiny", "--audiodir=x"], "did you mean --audio_dir"),
    ],
)
def test_mistakes_are_reported_before_anything_is_trained(flags, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        comparison.main([*flags, f"--out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_a_comparison_is_kept(tmp_path):
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(UserError, match="no results of a comparison"):
        comparison.main(["--scale=tiny", f"--out={tmp_path}"])
    assert (tmp_path / "results.json").read_text() == "[]"


def test_the_status_of_a_stage_that_fails_is_passed_on_and_a_signal_is_reported():
    with pytest.raises(SystemExit) as raised:
        comparison._run("-c", "raise SystemExit(2)")
    assert raised.value.code == 2
    with pytest.raises(UserError, match="ended by signal 9"):
        comparison._run("-c", "import os; os.kill(os.getpid(), 9)")


@pytest.mark.parametrize(
    ("flags", "taken"),
    [
        (["--scale=tiny"], "--dataset=builtin"),
        (["--scale=published"], "--dataset=piano"),
        (["--scale=published", "--audio_dir=music"], "--audio_dir=music"),
    ],
)
def test_recordings_are_named_once(monkeypatch, tmp_path, flags, taken):
    """As train.py requires, which refuses a data set beside a folder."""
    found = []
    monkeypatch.setattr(comparison, "_run", lambda *command: found.append(command) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        comparison.main([*flags, f"--out={tmp_path / 'out'}"])
    (command,) = found
    assert [word for word in command if word.startswith(("--dataset=", "--audio_dir="))] == [taken]


@pytest.mark.parametrize("scale", SCALES)
def test_networks_of_a_scale_have_about_the_same_receptive_field(scale):
    one, other = (NETWORKS[name]().receptive_field for name in SCALES[scale].networks)
    assert 0.8 < one / other <= 1


def test_sampling_speeds_of_both_networks(monkeypatch):
    monkeypatch.setattr(comparison, "_ROUNDS", 1)
    found = comparison.sampling_speeds(TINY, 0)
    assert all(len(found[str(clips)]) == 2 and min(found[str(clips)]) > 0 for clips in comparison.CLIPS)
