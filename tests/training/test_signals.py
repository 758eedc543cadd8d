"""Signals as terminals, `timeout`, clusters and containers send them: to all processes of a group."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from short_runs import last, line, train_acting


def signalled(words, step, signum, method):
    """Run train.py in a group of its own, all of which gets a signal in a step."""
    os.setsid()
    multiprocessing.set_start_method(method, force=True)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which a shell may ignore
    return train_acting(words, lambda: os.killpg(0, signum), step)


@pytest.mark.parametrize(
    ("signum", "status", "method"),
    [(signal.SIGHUP, 129, "fork"), (signal.SIGTERM, 143, "forkserver"), (signal.SIGINT, 130, "spawn")],
)
def test_a_group_saves_and_ends(tmp_path, audio_folder, group, signum, status, method):
    words = line(tmp_path, audio_folder, "--num_workers 1 --name run")
    statuses, logs = group(1, signalled, words, 5, signum, method).wait()
    assert statuses == [status], logs
    (message,) = [text for text in logs[0].splitlines() if "ended by a signal" in text]
    path = tmp_path / "logs" / "sequnet" / "run" / "checkpoints" / "last.ckpt"
    assert f"holds all until step 6; resume with: python train.py --ckpt_path {path}" in message
    assert "Traceback" not in logs[0] and "was killed" not in logs[0]
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

    return train_acting(words, act, step)


def test_a_second_interrupt_ends_at_once(tmp_path, audio_folder, group):
    words = line(tmp_path, audio_folder, "--num_workers 1 --name run")
    statuses, logs = group(1, hang, words, 5).wait()
    assert statuses == [130], logs
    assert "a second Ctrl-C ends it at once" in logs[0]


def killed(words, step, pids):
    """Run train.py, which is killed in a step; its workers are written down."""
    multiprocessing.set_start_method("fork", force=True)

    def act():
        Path(pids).write_text(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text())
        os.kill(os.getpid(), signal.SIGKILL)

    return train_acting(words, act, step)


def alive(pid):
    """Whether a process still runs; one that has ended may still be a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
def test_workers_end_with_a_run_that_is_killed(tmp_path, audio_folder, group):
    words = line(tmp_path, audio_folder, "--num_workers 1 --name run")
    statuses, logs = group(1, killed, words, 3, str(tmp_path / "pids")).wait()
    assert statuses == [-signal.SIGKILL], logs
    pids = (tmp_path / "pids").read_text().split()
    assert pids
    for _ in range(300):
        if not any(map(alive, pids)):
            return
        time.sleep(0.1)
    pytest.fail(f"{pids} outlive the run")
