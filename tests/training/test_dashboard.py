"""What W&B is given, read back from the files of offline runs; and what the local report shows without it."""

import json
from pathlib import Path

import pytest
import soundfile
import wandb
import yaml
from matplotlib.image import imread
from wandb_files import OfflineRun

from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.train import train
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.training.references import NAMES

STEPS, MORE = 6, 9


def train_and_finish(words):
    """W&B writes its files to their end when a process ends, which those of a group do not do by themselves."""
    status = run_main("train.py", train, words.split())
    wandb.finish()
    return status


@pytest.fixture(scope="module")
def folder(tmp_path_factory, audio_folder):
    """A run of six steps, one a row, that goes on to nine, without a key and without a terminal."""
    from process_group import Group

    root = tmp_path_factory.mktemp("wandb")
    first = (
        "--model sequnet --levels 2 --features 2 --depth 1 --kernel_size 3 --output_size 256 --batch_size 2 --gpus 0 "
        f"--hop_size 2000 --num_workers 0 --audio_dir {audio_folder} --data_dir {root}/data --log_dir {root}/logs "
        f"--name run --max_steps {STEPS} --trainer.log_every_n_steps 1 --trainer.val_check_interval 3 --ema 0.9 "
        "--log_model true --sample_audio.every_n_steps 3 --sample_audio.seconds 0.1 --sample_audio.prompt_seconds 0.1 "
        "--sample_audio.continuations 1"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DATA_DIR"):
            patch.delenv(name, raising=False)
        for words in (first, f"--ckpt_path last --log_dir {root}/logs --max_steps {MORE}"):
            statuses, logs = Group(root, 1, train_and_finish, words).wait()
            assert statuses == [0], logs
    return root / "logs" / "sequnet" / "run"


@pytest.fixture(scope="module")
def runs(folder):
    return [OfflineRun(path) for path in sorted(folder.glob("wandb/offline-run-*"))]


def test_a_run_that_goes_on_is_one_run(runs, folder):
    assert len(runs) == 2
    assert {run.run.run_id for run in runs} == {(folder / "wandb-id.txt").read_text().strip()}
    assert {run.run.run_group for run in runs} == {"sequnet"}
    steps = [[step for step, _ in run.logged("train/bits_per_sample")] for run in runs]
    assert steps == [list(range(STEPS)), list(range(STEPS, MORE))]
    hours = [value for run in runs for _, value in run.logged("hours_heard")]
    assert hours == sorted(hours)


def test_every_score_can_be_drawn_over_steps_hours_and_time(runs):
    run = runs[0]
    scores = ("train/bits_per_sample", "val/bits_per_sample")
    for name in scores:
        found = [row for row in run.rows if name in row]
        assert found
        over = {"trainer/global_step", "hours_heard", "wall_hours", *NAMES}
        assert all(over <= set(row) for row in found)
        assert run.metrics[name].summary.min
        assert run.summary[name]["min"] == min(value for _, value in run.logged(name))
    assert {"hours_heard", "wall_hours"} <= set(run.metrics)


def test_it_tells_whether_the_run_is_stable_and_fast(runs):
    names = ("lr-Adam", "train/gradient_norm")
    names += ("speed/samples_per_second", "speed/data_wait", "speed/memory_gib")
    for name in names:
        assert {step for step, _ in runs[0].logged(name)} == set(range(STEPS)), name


def test_each_sampling_has_its_media_and_codes(runs):
    assert [step for step, _ in runs[0].logged("samples/codes")] == [3, 6]
    (row, *_) = [row for row in runs[0].rows if "samples/codes" in row]
    for name, seconds in (("continuation-0", 0.2), ("recording-0", 0.2), ("silence-1", 0.1), ("silence-2", 0.1)):
        clip, picture = row[f"samples/{name}"], row[f"spectrograms/{name}"]
        assert soundfile.info(runs[0].file(clip)).duration == pytest.approx(seconds)
        assert clip["caption"].startswith(name) and ("val/0.wav" in clip["caption"]) == (seconds == 0.2)
        assert imread(runs[0].file(picture)).shape[1] == 1200
        assert 0 < row[f"likelihood/{name}"] < 20
    assert imread(runs[0].file(row["samples/codes"])).ndim == 3


def test_the_config_tells_what_it_takes_to_do_it_again(runs, folder):
    config = runs[0].config
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["model"]["init_args"] == settings["model"]["init_args"] | {"lr": 5e-4}
    assert config["trainer"]["val_check_interval"] == 3
    facts = config["run"]
    network = SeqUNet(2, 2, 1, 3)
    assert facts["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert facts["receptive_field_ms"] == pytest.approx(network.receptive_field / 16, abs=0.05)
    assert facts["data"]["fingerprint"] == config["data/fingerprint"]
    assert "commit" in facts
    assert len(json.loads((folder / "run.json").read_text())["commands"]) == 2


def test_the_best_checkpoint_is_an_artifact(runs, folder):
    (artifact,) = [artifact for artifact in runs[0].artifacts if artifact.type == "model"]
    assert "best" in artifact.aliases
    assert all(Path(entry.local_path).is_relative_to(folder) for entry in artifact.manifest.contents)
    names = {entry.path for entry in artifact.manifest.contents}
    assert "MODEL.md" in names
    assert any(name.startswith("best-step") for name in names)


def test_without_an_account_the_report_has_it_all(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Clips at step 9" in text
    assert text.count('class="plot"') == 9
    assert text.count("<audio ") == 4
    assert "fingerprint" in (folder / "checkpoints" / "MODEL.md").read_text(encoding="utf-8")
