"""A comparison of tiny networks: it goes on where it was stopped, and its report has every line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.comparison import __main__ as comparison
from benchmarks.comparison import rows, speeds, stages
from benchmarks.comparison.results import Results
from benchmarks.comparison.scales import SCALES, SHORT, Scale
from benchmarks.sampling import NETWORKS
from sequnet_pl.audio.files import SAMPLE_RATE, write_wav
from sequnet_pl.errors import UsageError, UserError

TINY = Scale(
    ("sequnet-small", "wavenet-small"),
    (*SHORT, "--output_size=256", "--batch_size=2", "--log_interval=1", "--trainer.val_check_interval=2"),
    *(3, 4, 0.3, 0.1),
    turn=0.01,
    rounds=1,
)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for split, count in (("train", 1), ("val", 1), ("test", 2)):
        for number in range(count):
            sound = 0.5 * np.sin(2 * np.pi * 220 * (number + 1) * np.arange(20_000) / SAMPLE_RATE)
            write_wav(tmp_path / "music" / split / f"{number}.wav", sound, SAMPLE_RATE)
    return tmp_path / "music"


@pytest.mark.slow  # ten processes that import Lightning
def test_stopped_in_the_middle_it_goes_on_and_reports_every_line(tmp_path, recordings, monkeypatch, capsys):
    monkeypatch.setitem(SCALES, "tiny", TINY)
    argv = ["--scale=tiny", f"--audio_dir={recordings}", "--gpus=0", f"--data_dir={tmp_path / 'data'}"]
    argv.append(f"--out={tmp_path / 'out'}")
    run, commands = stages._run, []

    def stop_at_wavenet_test(*command: str) -> None:
        commands.append(command)
        if "test" in command and "wavenet" in " ".join(command):
            raise KeyboardInterrupt
        run(*command)

    monkeypatch.setattr(stages, "_run", stop_at_wavenet_test)
    with pytest.raises(KeyboardInterrupt):
        comparison.main(argv)
    before = json.loads((tmp_path / "out/results.json").read_text())["stages"]
    assert list(before) == ["train sequnet", "train wavenet", "test sequnet"]
    assert not (tmp_path / "out/report.html").exists()

    commands.clear()
    monkeypatch.setattr(stages, "_run", lambda *command: commands.append(command) or run(*command))
    comparison.main(argv)
    assert [Path(command[0]).name for command in commands] == ["train.py", "sample.py", "sample.py", "-m", "-m"]
    found = json.loads((tmp_path / "out/results.json").read_text())["stages"]
    assert before.items() <= found.items()

    page, text = ((tmp_path / "out" / name).read_text() for name in ("report.html", "report.md"))
    lines = list(rows.rows(found))
    assert len(lines) == 14
    for line in lines:
        assert "| " + " | ".join(line.cells) + " |" in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == 1 + 2 * 2 * 4
    assert all((tmp_path / "out" / link).is_file() for link in links)
    assert "Seq-U-Net" in page and page.count('class="plot"') == 3
    assert "No claim is reached" in text  # after three steps
    prompts = [json.loads(path.read_text())["clips"] for path in (tmp_path / "out").rglob("clips.json")]
    keys = ("clip", "prompt", "prompt_end", "seed")
    assert len(prompts) == 2
    assert [[clip[key] for key in keys] for clip in prompts[0]] == [[clip[key] for key in keys] for clip in prompts[1]]

    commands.clear()
    comparison.main(argv)
    assert not commands
    assert (tmp_path / "out/report.md").read_text() == text


def test_results_are_kept_as_they_come_and_only_for_the_same_settings(tmp_path, capsys):
    path, made = tmp_path / "results.json", []

    def make(value: int) -> dict[str, int]:
        made.append(value)
        return {"value": value}

    assert Results(path, {"steps": 1}).stage("one", lambda: make(1)) == {"value": 1}
    again = Results(path, {"steps": 1})
    assert again.stage("one", lambda: make(2)) == {"value": 1}
    with pytest.raises(ZeroDivisionError):
        again.stage("two", lambda: make(1 // 0))
    assert Results(path, {"steps": 1}).stage("one", lambda: make(3)) == {"value": 1}
    assert Results(path, {"steps": 2}).stage("one", lambda: make(4)) == {"value": 4}
    assert made == [1, 4]
    path.write_text("[]")
    with pytest.raises(UserError, match="no results of a comparison"):
        Results(path, {})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--scale=tine"], "scale"),
        (["--scale=tiny", "--max_steps=0"], "--max_steps is 0"),
        (["--scale=tiny", "--gpus=-1"], "--gpus is -1"),
        (["--scale=tiny", "--seconds=0.1"], "shorter than the longest frame"),
        (["--scale=tiny", "--audiodir=x"], "did you mean --audio_dir"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(flags, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        comparison.main([*flags, f"--out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


def test_the_status_of_a_stage_that_fails_is_passed_on_and_one_that_is_killed_is_named():
    with pytest.raises(SystemExit) as raised:
        stages._run("-c", "raise SystemExit(2)")
    assert raised.value.code == 2
    with pytest.raises(UserError, match="ended by SIGKILL"):
        stages._run("-c", "import os; os.kill(os.getpid(), 9)")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("named", [[], ["--audio_dir=music"]])
def test_recordings_are_named_once(monkeypatch, tmp_path, scale, named):
    """As train.py wants it, which refuses a data set beside a folder."""
    found = []
    monkeypatch.setattr(comparison, "_stages", lambda results, runs, *_: found.extend(runs) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        comparison.main([f"--scale={scale}", f"--out={tmp_path / 'out'}", *named])
    taken = named or [f"--dataset={'piano' if scale == 'published' else 'builtin'}"]
    assert len(found) == 2
    for run in found:
        flags = [flag for flag in (*run.scale.training, *run.flags) if re.match("--(dataset|audio_dir)=", flag)]
        assert flags == taken


def test_the_networks_of_a_scale_hear_about_as_far():
    for scale in SCALES.values():
        one, other = (NETWORKS[name]().receptive_field for name in scale.networks)
        assert 0.8 < one / other <= 1


def test_sampling_speeds_of_both_networks():
    found = speeds.sampling_speeds(("sequnet-small", "wavenet-small"), 0, 0.01, 2)
    assert all(len(found[str(clips)]) == 2 and min(found[str(clips)]) > 0 for clips in speeds.CLIPS)
