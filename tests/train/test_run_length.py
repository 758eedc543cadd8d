"""How long a run is: by steps, epochs or minutes; a flag replaces what a config or the resumed run gives."""

from types import SimpleNamespace

import pytest
import torch
import yaml
from pytorch_lightning.callbacks import timer
from tiny import ROOT, fit, rows, run_folder

from sequnet_pl.training.module import AudioModule

DEMO = ROOT / "configs" / "demo.yaml"


@pytest.fixture
def clock(monkeypatch):
    """The clock of Lightning's timer; a training step takes a second."""
    clock, step = SimpleNamespace(now=0.0), AudioModule.training_step

    def timed(self, batch, batch_idx):
        clock.now += 1
        return step(self, batch, batch_idx)

    monkeypatch.setattr(AudioModule, "training_step", timed)
    monkeypatch.setattr(timer, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def length(settings):
    trainer = settings["trainer"]
    return trainer["max_epochs"], trainer["max_steps"], trainer["max_time"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--model sequnet", (10, -1, None)),
        (f"--config {DEMO}", (-1, 1953, None)),
        (f"--config {DEMO} --epochs 3", (3, -1, None)),
        (f"--config {DEMO} --minutes 1.5", (-1, -1, "00:00:01:30")),
        (f"--minutes 1500 --config {DEMO} --trainer.max_epochs=3", (3, -1, "01:01:00:00")),
        (f"--config {DEMO} --epochs 2 --max_steps 9", (2, 9, None)),
        (f"--config {DEMO} --config CONFIG", (-1, -1, "00:00:02:00")),
        ("--model sequnet --config CONFIG --max_steps 3", (-1, 3, None)),
    ],
)
def test_a_layer_replaces_the_length_of_the_layers_before(run_train, tmp_path, line, expected):
    config = tmp_path / "two.yaml"
    config.write_text("minutes: 2\n")
    status, out = run_train(f"{line.replace('CONFIG', str(config))} --print_config")
    assert status == 0, out
    assert length(yaml.safe_load(out)) == expected


def test_a_resumed_run_keeps_its_length_unless_a_flag_gives_one(run, audio_folder, tmp_path, clock):
    assert run(fit("sequnet", audio_folder, 2) + " --epochs 7")[0] == 0
    for more, expected in (
        ("", (7, 2, None)),
        ("--max_steps 8", (-1, 8, None)),
        ("--minutes 0.2", (-1, -1, "00:00:00:12")),
    ):
        assert run(f"--ckpt_path last {more}")[0] == 0
        assert length(yaml.safe_load((run_folder(tmp_path, "sequnet") / "config.yaml").read_text())) == expected


def rates(folder):
    return {int(row["step"]): float(row["lr-Adam"]) for row in rows(folder) if row["lr-Adam"]}


@pytest.mark.parametrize(("steps", "end"), [("", 6), ("--max_steps 12", 6), ("--max_steps 4", 4)])
def test_the_rate_follows_the_share_of_time_or_of_steps(run, audio_folder, tmp_path, clock, steps, end):
    line = fit("sequnet", audio_folder, 0).replace("--max_steps 0", "") + " --anneal --warmup 0.5"
    assert run(f"{line} --name timed --minutes 0.1 {steps}")[0] == 0
    assert run(f"{line} --name counted --max_steps {end}")[0] == 0
    timed, counted = (tmp_path / "logs" / "sequnet" / name for name in ("timed", "counted"))
    later = {step: rate for step, rate in rates(counted).items() if step >= end / 2}
    assert len(rates(timed)) == end
    # while the rate rises, it counts the step under way
    assert {step: rate for step, rate in rates(timed).items() if step >= end / 2} == pytest.approx(later, rel=0.01)
    last = torch.load(timed / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == end
    assert sum(bool(row["val/bits_per_sample"]) for row in rows(timed)) >= 1


def test_the_time_of_a_resumed_run_continues(run, audio_folder, tmp_path, clock):
    line = fit("sequnet", audio_folder, 0).replace("--max_steps 0", "") + " --anneal"
    assert run(f"{line} --minutes 0.1")[0] == 0
    status, out = run("--ckpt_path last")
    message = "the run is finished: a larger --max_steps, --epochs or --minutes continues it"
    assert (status, message in out) == (0, True)
    clock.now += 1000  # between two runs
    status, out = run("--ckpt_path last --minutes 0.2")
    assert (status, message in out) == (0, False)
    folder = run_folder(tmp_path, "sequnet")
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 12
    assert list(rates(folder)) == list(range(12))


def test_time_ends_a_run_between_two_steps(run, audio_folder, tmp_path, clock):
    line = fit("sequnet", audio_folder, 0).replace("--max_steps 0", "--trainer.accumulate_grad_batches 3")
    assert run(f"{line} --minutes 0.075")[0] == 0  # 4.5 s, rounded to 4
    last = torch.load(run_folder(tmp_path, "sequnet") / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 2
    assert last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["processed"] == 6


def test_steps_between_validations_and_clips_may_be_more_than_an_epoch(run, audio_folder, tmp_path):
    line = f"--config {DEMO} --audio_dir {audio_folder} --levels 3 --features 4 --depth 1 --head 0 --output_size 512"
    line += " --hop_size 8000 --max_steps 8 --trainer.val_check_interval 3 --log_interval 1 --batch_size 2"
    status, text = run(f"{line} --sample_audio.every_n_steps 5 --sample_audio.seconds 0.01")
    assert status == 0, text
    folder = run_folder(tmp_path, "sequnet")
    assert [int(row["step"]) for row in rows(folder) if row["val/bits_per_sample"]] == [2, 5, 7]
    assert max(int(row["epoch"]) for row in rows(folder) if row["epoch"]) > 2
    assert [path.name for path in (folder / "samples").iterdir()] == ["step-00000005"]


def test_the_validation_at_the_end_of_a_short_run_is_printed_and_in_its_report(run, audio_folder, tmp_path):
    status, out = run(fit("sequnet", audio_folder, 3))
    folder = run_folder(tmp_path, "sequnet")
    (score,) = [f"{float(bits):.3f} bits per sample" for row in rows(folder) if (bits := row["val/bits_per_sample"])]
    assert (status, f"validation: {score}, accuracy " in out) == (0, True)
    assert f"{score}, step 3" in (folder / "report.html").read_text()
    assert f"best validation: {score} at step 3" in (folder / "checkpoints" / "MODEL.md").read_text()
