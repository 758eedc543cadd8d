"""Signals as terminals, `timeout`, clusters and containers send them: to all processes of a group."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.train import train
from sequnet_pl.training.module import AudioModule


def line(tmp_path, audio_folder, more=""):
    return (
        "--model sequnet --levels 2 --features 2 --depth 1 --kernel_size 3 --output_size 256 --batch_size 1 "
        f"--hop_size 2000 --audio_dir {audio_folder} --log_dir {tmp_path}/logs --data_dir {tmp_path}/data --epochs 3 "
        f"--gpus 0 --sample_audio.every_n_epochs 0 --trainer.log_every_n_steps 1 --logger none {more}"
    )


def last(tmp_path, name):
    return torch.load(tmp_path / "logs" / "sequnet" / name / "checkpoints" / "last.ckpt", weights_only=True)


def acting(act, step):
    """Let training do something in a step."""
    original = AudioModule.training_step

    def training_step(self, batch, batch_idx):
        if self.trainer.global_step == step:
            act()
        return original(self, batch, batch_idx)

    AudioModule.training_step = training_step


def signalled(words, step, signum, method="fork", times=1):
    """Run train.py in a group of its own, all of which gets a signal in a step."""
    os.setsid()
    multiprocessing.set_start_method(method, force=True)

    def signal_all():
        for _ in range(times):
            os.killpg(0, signum)

    acting(signal_all, step)
    return run_main("train.py", train, words.split())


@pytest.mark.parametrize(
    ("signum", "status", "method"),
    [
        # each signal once, SIGHUP where a shell lets it through, and each way to start workers; the rest is slow
        pytest.param(signal.SIGTERM, 143, "fork", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, "fork", marks=pytest.mark.slow),
        pytest.param(
            signal.SIGHUP,
            129,
            "fork",
            marks=pytest.mark.skipif(
                signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="started to go on when a terminal closes"
            ),
        ),
        (signal.SIGTERM, 143, "forkserver"),
        (signal.SIGINT, 130, "spawn"),
    ],
)
def test_a_group_ends_saved_and_goes_on_exactly(tmp_path, audio_folder, group, signum, status, method):
    words = line(tmp_path, audio_folder, "--num_workers 2")
    statuses, logs = group(1, signalled, f"{words} --name broken", 5, signum, method).wait()
    assert statuses == [status], logs
    (said,) = [text for text in logs[0].splitlines() if "ended by a signal" in text]
    path = tmp_path / "logs" / "sequnet" / "broken" / "checkpoints" / "last.ckpt"
    assert f"holds all until step 6; resume with: python train.py --ckpt_path {path}" in said
    assert "Traceback" not in logs[0] and "was killed" not in logs[0]
    assert last(tmp_path, "broken")["global_step"] == 6
    resumed = f"--ckpt_path {path} --log_dir {tmp_path}/logs --logger none"
    for rest in (f"{words} --name unbroken", resumed):
        assert group(1, signalled, rest, -1, 0).wait()[0] == [0]
    broken, unbroken = (last(tmp_path, name) for name in ("broken", "unbroken"))
    assert broken["global_step"] == unbroken["global_step"]
    assert all(torch.equal(unbroken["state_dict"][name], value) for name, value in broken["state_dict"].items())


def ends_in_validation(words, act):
    """Run train.py, which does something in its first batch of validation."""
    os.setsid()

    def validation_step(self, batch, batch_idx):
        act()

    AudioModule.validation_step = validation_step
    return run_main("train.py", train, words.split())


def terminate_the_group():
    os.killpg(0, signal.SIGTERM)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("act", "status"), [(terminate_the_group, 143), (interrupt, 130)])
def test_workers_of_a_validation_that_was_broken_off_end_too(tmp_path, audio_folder, group, act, status):
    words = line(tmp_path, audio_folder, "--num_workers 2 --name run --trainer.val_check_interval 2")
    statuses, logs = group(1, ends_in_validation, f"{words} --trainer.num_sanity_val_steps 0", act).wait()
    assert statuses == [status], logs
    assert "Traceback" not in logs[0]


def test_the_same_interrupt_sent_twice_is_one(tmp_path, audio_folder, group):
    """As `timeout` sends it: to the process, and to its group."""
    words = line(tmp_path, audio_folder, "--num_workers 0 --name run")
    statuses, logs = group(1, signalled, words, 5, signal.SIGINT, "fork", 2).wait()
    assert statuses == [130], logs
    assert last(tmp_path, "run")["global_step"] == 6


def hang(words, step):
    """Two interrupts, the second while a step hangs where Python's own handlers cannot run."""
    os.setsid()

    def act():
        os.killpg(0, signal.SIGINT)
        time.sleep(1)
        os.killpg(0, signal.SIGINT)
        while True:
            time.sleep(600)

    acting(act, step)
    return run_main("train.py", train, words.split())


def test_a_second_interrupt_ends_at_once(tmp_path, audio_folder, group):
    words = line(tmp_path, audio_folder, "--num_workers 1 --name run")
    statuses, logs = group(1, hang, words, 5).wait()
    assert statuses == [130], logs
    assert "a second Ctrl-C ends it at once" in logs[0]


def killed(words, step, method, pids):
    """Run train.py, which is killed in a step; its workers are written down."""
    multiprocessing.set_start_method(method, force=True)

    def act():
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        if method == "forkserver":  # whose processes are the workers' parents
            children = [
                each
                for child in [*children, str(os.getppid())]
                for each in Path(f"/proc/{child}/task/{child}/children").read_text().split()
                if each != str(os.getpid())
            ]
        Path(pids).write_text(" ".join(children))
        os.kill(os.getpid(), signal.SIGKILL)

    acting(act, step)
    return run_main("train.py", train, words.split())


def alive(pid):
    """Whether a process still runs; one that has ended may wait for its parent to look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_end_with_a_run_that_is_killed(tmp_path, audio_folder, group, method):
    words = line(tmp_path, audio_folder, "--num_workers 2 --name run")
    statuses, logs = group(1, killed, words, 3, method, str(tmp_path / "pids")).wait()
    assert statuses == [-signal.SIGKILL], logs
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) >= 2
    for _ in range(300):
        if not any(map(alive, pids)):
            return
        time.sleep(0.1)
    pytest.fail(f"{pids} outlive the run")
