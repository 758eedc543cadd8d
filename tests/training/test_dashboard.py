"""What W&B is given: the calls that a run makes to its experiment."""

from unittest.mock import MagicMock

import pytest
import wandb
from pytorch_lightning.loggers import WandbLogger
from short_runs import run_fit

from sequnet_pl.report.charts import REFERENCES
from sequnet_pl.training.loggers import AppendingCSVLogger
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.reporting import RunReport
from sequnet_pl.training.sampling import SampleAudio


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, audio_folder):
    """The experiment of a run of six steps, one a row."""
    root, found = tmp_path_factory.mktemp("wandb"), MagicMock(id="abc")
    folder = root / "run"
    sampler = SampleAudio(every_n_steps=3, every_n_epochs=0, seconds=0.01, prompt_seconds=0.01, continuations=1)
    report = RunReport(folder, folder / "checkpoints", log_model=True)
    callbacks = [Measures(), sampler, report]
    loggers = [AppendingCSVLogger(folder), WandbLogger(experiment=found)]
    run = run_fit(root, audio_folder, callbacks=callbacks, logger=loggers, max_steps=6, val_check_interval=3)
    assert run.error is None
    return found


@pytest.fixture(scope="module")
def rows(experiment):
    return [call.args[0] for call in experiment.log.call_args_list]


def test_every_score_can_be_drawn_over_steps_hours_and_time(experiment, rows):
    for name in ("train/bits_per_sample", "val/bits_per_sample"):
        found = [row for row in rows if name in row]
        assert found
        assert all({"trainer/global_step", "hours_heard", "wall_hours", *REFERENCES} <= set(row) for row in found)
    defined = {call.args[0]: call.kwargs for call in experiment.define_metric.call_args_list}
    assert defined["val/bits_per_sample"]["summary"] == "min,last"
    assert defined["hours_heard"]["summary"] == "max"


def test_each_sampling_has_its_media_and_codes(rows):
    found = [row for row in rows if "samples/codes" in row]
    assert [row["trainer/global_step"] for row in found] == [3, 6]
    for name in ("continuation-0", "recording-0", "silence-1", "silence-2"):
        assert isinstance(found[0][f"samples/{name}"], wandb.Audio)
        assert isinstance(found[0][f"spectrograms/{name}"], wandb.Image)
        assert 0 < found[0][f"likelihood/{name}"] < 20


def test_the_settings_contain_the_facts_of_the_run(experiment):
    facts = next(call.args[0]["run"] for call in experiment.config.update.call_args_list if "run" in call.args[0])
    assert (facts["network"], facts["sample_rate"]) == ("sequnet", 16_000)
    assert facts["data"]["splits"]["train"]["recordings"] == 3


def test_the_best_checkpoint_is_an_artifact(experiment):
    ((artifact,), options) = experiment.log_artifact.call_args
    assert (artifact.type, options["aliases"]) == ("model", ["best"])
    names = sorted(artifact.manifest.entries)
    assert names[0] == "MODEL.md" and names[1].startswith("best-step")
