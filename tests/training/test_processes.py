"""Two and three processes compute what one does; where one is lost, the run ends with a message."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import LambdaCallback, timer
from short_runs import flat, last, line, run_fit, run_test, train_acting
from torch.nn.parallel import DistributedDataParallel

from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.train import train
from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.training.measures import Measures
from sequnet_pl.training.module import SeqUNetModule
from sequnet_pl.training.run_timer import RunTimer

ROOT = Path(__file__).parents[2]
GLOBAL_BATCH = 6


def learn_and_score(root, audio, world):
    """Learn in float64 with a global batch of six, then score a network of other weights in both precisions."""
    prepare, seen = AudioDataModule.prepare_data, []

    def prepare_data(self):
        (Path(root) / f"prepared-{os.getpid()}").touch()
        prepare(self)

    AudioDataModule.prepare_data = prepare_data
    look = LambdaCallback(on_train_start=lambda trainer, module: seen.append(trainer.strategy.model))
    options = {"devices": world, "precision": "64-true", "max_epochs": 2, "callbacks": [look, Measures()]}
    run = run_fit(root, audio, f"world-{world}", data={"batch_size": GLOBAL_BATCH // world}, **options)
    if run.error:
        raise run.error
    for precision in ("64-true", "32-true"):
        torch.manual_seed(1)
        folder, module = f"{root}/scores-{world}-{precision}", SeqUNetModule(2, 2, 1, 3)
        run_test(folder, module, audio, f"{root}/data", GLOBAL_BATCH // world, devices=world, precision=precision)
    if world > 1:
        (model,) = seen
        assert isinstance(model, DistributedDataParallel)
        assert not model.find_unused_parameters


def test_processes_learn_and_score_as_one_does(tmp_path, audio_folder, group, monkeypatch):
    monkeypatch.setattr(AudioDataModule, "prepare_data", AudioDataModule.prepare_data)
    learn_and_score(str(tmp_path), str(audio_folder), 1)
    (tmp_path / f"prepared-{os.getpid()}").unlink()
    statuses, logs = group(3, learn_and_score, str(tmp_path), str(audio_folder), 3).wait()
    assert statuses == [0] * 3, logs
    assert len(list(tmp_path.glob("prepared-*"))) == 1  # a process a node
    paths = [tmp_path / f"world-{world}" / "checkpoints" / "last.ckpt" for world in (1, 3)]
    one, many = (torch.load(path, weights_only=True) for path in paths)
    assert one["global_step"] == many["global_step"] == 6
    assert one["callbacks"]["Measures"]["samples_seen"] == many["callbacks"]["Measures"]["samples_seen"] > 0
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(many["state_dict"][name], value, rtol=0, atol=1e-9)
    for precision, tolerance in (("64-true", 1e-9), ("32-true", 1e-6)):
        paths = [tmp_path / f"scores-{world}-{precision}" / "test.json" for world in (1, 3)]
        one, many = (flat(json.loads(path.read_text())) for path in paths)
        assert many == pytest.approx(one, abs=tolerance)
        assert {"/recordings/1/bits_per_sample", "/calibration/0/accuracy", "/test/accuracy"} <= set(one)


def workers(tmp_path, audio_folder, more=""):
    return line(tmp_path, audio_folder, f"--num_workers 0 --trainer.devices 2 {more}")


def interrupted(words, rank, step, signum):
    """Run train.py, in which one process gets a signal in a step."""
    return train_acting(words, lambda: os.kill(os.getpid(), signum), step, rank)


def test_a_killed_process_ends_the_run_with_its_reason(tmp_path, audio_folder, group):
    words = workers(tmp_path, audio_folder, "--name run --last.every_n_steps 2")
    statuses, logs = group(2, interrupted, words, 1, 5, signal.SIGKILL).wait()
    assert statuses == [1, -signal.SIGKILL], logs
    (error,) = [text for text in logs[0].splitlines() if text.startswith("train.py: error:")]
    assert "process 0 of 2 has lost another one" in error
    assert "Traceback" not in logs[0]
    assert last(tmp_path, "run")["global_step"] == 4


def test_sigterm_to_any_process_saves_and_ends_all(tmp_path, audio_folder, group, monkeypatch, caplog):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    words = workers(tmp_path, audio_folder, "--logger wandb --name run --trainer.val_check_interval 4")
    statuses, logs = group(2, interrupted, words, 1, 5, signal.SIGTERM).wait()
    assert statuses == [143, 0], logs  # another status of one process lets torchrun end the first
    assert "sync_dist" not in logs[0]  # advice of Lightning about values that one process logs
    assert last(tmp_path, "run")["global_step"] == 6
    assert "until step 6" in logs[0]
    assert len(list(tmp_path.glob("logs/sequnet/run/wandb/offline-run-*"))) == 1
    # one process continues, and logs the change
    resumed = f"--ckpt_path last --log_dir {tmp_path}/logs --trainer.devices 1 --logger none"
    assert run_main("train.py", train, resumed.split()) == 0
    assert "processes 1 instead of 2" in caplog.text


def run_of_one(words):
    """Run train.py with settings of one process."""
    return run_main("train.py", train, words.split())


def test_processes_that_would_train_alone_are_refused(tmp_path, audio_folder, group):
    statuses, logs = group(2, run_of_one, line(tmp_path, audio_folder)).wait()
    assert statuses == [2, 2], logs
    assert all("torchrun has started 2 processes" in log for log in logs)
    assert not (tmp_path / "logs").exists()


def as_a_node(words, folders):
    """Run train.py as one of two nodes, each with folders of its own."""
    rank = os.environ["RANK"]
    os.environ |= {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": rank}
    return run_of_one(f"{words} --num_nodes 2 {folders[int(rank)]}")


def test_nodes_with_different_checkpoints_or_recordings_end(tmp_path, audio_folder, group):
    words = line(tmp_path, audio_folder, "--num_workers 0 --epochs -1 --max_steps 2 --name run")
    assert group(1, run_of_one, words).wait()[0] == [0]
    fewer = shutil.copytree(audio_folder, tmp_path / "fewer")
    (fewer / "train" / "0.wav").unlink()
    other_runs = [f"--ckpt_path auto --log_dir {tmp_path}/{name}" for name in ("logs", "none")]
    other_recordings = [f"--name other --audio_dir {folder}" for folder in (audio_folder, fewer)]
    for folders in (other_runs, other_recordings):
        statuses, logs = group(2, as_a_node, words, folders).wait()
        assert statuses == [1, 1], logs
        assert all("the nodes have different checkpoints or recordings" in log for log in logs)


@pytest.mark.slow
def test_torchrun_gives_all_processes_one_name(tmp_path, audio_folder):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*torchrun, str(ROOT / "train.py"), *workers(tmp_path, audio_folder).split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "logs" / "sequnet").iterdir()
    assert last(tmp_path, folder.name)["global_step"] == 7


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the child process in /proc")
@pytest.mark.parametrize(("victim", "signum"), [("child", signal.SIGKILL), ("main", signal.SIGTERM)])
def test_runs_that_lightning_launches_end_too(tmp_path, audio_folder, victim, signum):
    words = workers(tmp_path, audio_folder, "--name run --last.every_n_steps 2 --epochs 999")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *words.split()], stderr=subprocess.PIPE, text=True
    )
    checkpoint = tmp_path / "logs" / "sequnet" / "run" / "checkpoints" / "last.ckpt"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    child = next(int(pid) for pid in children if b"train.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(child if victim == "child" else process.pid, signum)
    _, err = process.communicate(timeout=120)
    assert last(tmp_path, "run")["global_step"] >= 2
    if victim == "main":
        assert process.returncode == 143, err
        assert "the run was ended by a signal" in err
    else:
        by_run = process.returncode == 1 and "has lost another one" in err
        # or Lightning, which checks its children every five seconds, kills all at once
        by_lightning = process.returncode == -signal.SIGKILL and "terminated with code -9" in err
        assert by_run or by_lightning, err


@pytest.fixture
def scontrol(tmp_path):
    """A command that writes its arguments to the file `requests`; its folder."""
    command = tmp_path / "bin" / "scontrol"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/requests\n')
    command.chmod(0o755)
    return str(command.parent)


def test_slurm_queues_a_job_again_whose_time_is_over(tmp_path, audio_folder, group, scontrol):
    words = line(tmp_path, audio_folder, "--num_workers 0 --ckpt_path auto")
    for signum, status, step in ((signal.SIGUSR1, 143, 6), (0, 0, 13)):
        statuses, logs = group(1, as_a_job, scontrol, words, signum).wait()
        assert statuses == [status], logs
        assert last(tmp_path, "job-12")["global_step"] == step
    assert (tmp_path / "requests").read_text() == "requeue 12\n"


def as_a_job(folder, words, signum):
    job = {"JOB_ID": "12", "JOB_NAME": "train", "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    os.environ |= {f"SLURM_{name}": value for name, value in job.items()} | {"PATH": f"{folder}:{os.environ['PATH']}"}
    return interrupted(words, 0, 5 if signum else -1, signum)


@pytest.mark.parametrize("hook", ["prepare_data", "test_dataloader"])
def test_slurm_queues_a_job_again_that_decodes_or_scores(tmp_path, audio_folder, group, scontrol, hook):
    words = line(tmp_path, audio_folder, "--num_workers 0 --max_steps 2 --name run")
    if hook == "test_dataloader":
        assert group(1, run_of_one, words).wait()[0] == [0]
        words = f"test --ckpt_path last --log_dir {tmp_path}/logs"
    statuses, logs = group(1, out_of_time_in, scontrol, words, hook).wait()
    assert statuses == [143], logs
    assert (tmp_path / "requests").read_text() == "requeue 12\n"
    assert not list(tmp_path.rglob("hpc_ckpt*"))  # as Lightning saves where it requeues a job


def out_of_time_in(folder, words, hook):
    setattr(AudioDataModule, hook, lambda self: signal.raise_signal(signal.SIGUSR1))
    return as_a_job(folder, words, 0)


def learn_for_five_seconds(root, audio):
    """A step takes a second on the clock of the first process, and two on that of the other one."""
    now = [0.0]

    def step(trainer, *_):
        now[0] += 1 + trainer.global_rank

    timer.time = SimpleNamespace(monotonic=lambda: now[0])
    callbacks = [RunTimer("00:00:00:05"), LambdaCallback(on_train_batch_start=step)]
    module = SeqUNetModule(2, 2, 1, 3, anneal=True)
    run = run_fit(root, audio, "timed", module=module, devices=2, max_epochs=-1, callbacks=callbacks)
    if run.error:
        raise run.error
    rate = run.trainer.optimizers[0].param_groups[0]["lr"]
    (Path(root) / f"timed-{run.trainer.global_rank}.json").write_text(json.dumps([run.trainer.global_step, rate]))


def test_the_clock_of_the_first_process_ends_a_run(tmp_path, audio_folder, group):
    statuses, logs = group(2, learn_for_five_seconds, str(tmp_path), str(audio_folder)).wait()
    assert statuses == [0, 0], logs
    assert [json.loads((tmp_path / f"timed-{rank}.json").read_text()) for rank in range(2)] == [[5, 0.0]] * 2
