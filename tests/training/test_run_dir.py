"""The directory of a run: its name and its lock."""

import multiprocessing
import signal

import pytest
from lightning_fabric.utilities.rank_zero import rank_zero_only

from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.training import run_dir
from sequnet_pl.training.checkpoints import Run
from sequnet_pl.training.process import is_rank_zero

JOB = {"SLURM_PROCID": "3", "SLURM_JOB_ID": "12", "SLURM_JOB_NAME": "train"}


@pytest.fixture
def begin(tmp_path):
    """Create the directory of a run below the test's own folder."""

    def begin(name="a", is_default=False, again=False, snapshot_dir=None):
        return run_dir.create(tmp_path / "logs" / "net", name, snapshot_dir, is_default, again)

    return begin


def test_default_names_that_are_taken_are_numbered(begin):
    names = [begin("now", is_default=True).folder.name for _ in range(3)]
    assert names == ["now", "now-2", "now-3"]


def test_a_lock_of_checkpoints_ends_with_its_process_though_a_worker_runs_on(tmp_path):
    context = multiprocessing.get_context("fork")
    held, ended = context.Event(), context.Event()

    def hold():
        claim = run_dir.RunDir(tmp_path / "one", tmp_path / "kept", is_new=False).lock()
        context.Process(target=ended.wait).start()
        held.set()
        signal.pause()
        claim.release(began=True)

    process = context.Process(target=hold)
    process.start()
    assert held.wait(60)
    other = run_dir.RunDir(tmp_path / "other", tmp_path / "kept", is_new=False)
    with pytest.raises(UsageError, match="kept is in use by another run"):
        other.lock()
    process.kill()
    process.join()
    other.lock().release(began=True)
    ended.set()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        run_dir.RunDir(tmp_path, tmp_path, is_new=False).lock()


@pytest.mark.parametrize("name", ["last.ckpt", "best-step00000001.ckpt"])
def test_checkpoints_of_another_run_are_left_alone(begin, tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match="belongs to another run"):
        begin(snapshot_dir=tmp_path, is_default=True)


def test_resuming_where_there_may_be_no_checkpoint_yet(begin):
    """As --ckpt_path auto does in a container that was killed early."""
    claim = begin("mine")
    (claim.folder / "config.yaml").write_text("x")
    claim.release(began=True)
    assert begin("mine", again=True).folder == claim.folder


def test_a_run_that_has_moved_resumes_where_it_is(tmp_path):
    run = Run(tmp_path / "b", "net", tmp_path / "b" / "checkpoints", {"name": "a", "log_dir": "logs"})
    root = tmp_path / "logs" / "net"
    assert run_dir.is_same(run, root, "logs", "a")
    assert not run_dir.is_same(run, root, "logs", "c")
    assert not run_dir.is_same(run, root, "other", "a")


def test_jobs_have_the_same_name_in_all_tasks_and_when_they_are_requeued():
    assert (
        run_dir.job_name(JOB) == run_dir.job_name(JOB | {"SLURM_PROCID": "0", "SLURM_RESTART_COUNT": "2"}) == "job-12"
    )
    assert run_dir.job_name(JOB | {"SLURM_ARRAY_JOB_ID": "10", "SLURM_ARRAY_TASK_ID": "2"}) == "job-10_2"


@pytest.mark.parametrize(("environment", "writes"), [({"RANK": "0"}, True), ({}, False)])
def test_a_rank_decides_which_process_writes_and_without_one_its_node(monkeypatch, environment, writes):
    """Platforms set NODE_RANK, while torchrun orders the nodes itself."""
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(rank_zero_only, "rank", 0)
    for name, value in ({"NODE_RANK": "1"} | environment).items():
        monkeypatch.setenv(name, value)
    assert is_rank_zero() == writes
