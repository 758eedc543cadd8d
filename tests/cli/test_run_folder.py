"""A run's folder is its own."""

import subprocess
import sys

import pytest

from sequnet_pl.cli import run_folder
from sequnet_pl.errors import UsageError
from sequnet_pl.training.checkpoints import Run

SLURM = {"SLURM_PROCID": "0", "SLURM_JOB_ID": "12", "SLURM_JOB_NAME": "train"}
HOLD = """
import sys
from pathlib import Path
from sequnet_pl.locks import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def begin(tmp_path):
    """Claim a folder below the test's own."""
    claims = []

    def begin(name="a", made_up=False, again=False, snapshot_dir=None):
        claims.append(run_folder.begin(tmp_path / "logs" / "net", name, snapshot_dir, made_up, again))
        return claims[-1]

    return begin


@pytest.fixture
def living():
    """Have another process use a folder."""
    processes = []

    def use(folder):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"

    yield use
    for process in processes:
        process.communicate()


def learnt(claim):
    """What a run leaves."""
    for name in ("config.yaml", "metrics.csv"):
        (claim.folder / name).write_text("x")
    (claim.checkpoints / "last.ckpt").write_text("x")
    claim.release()


def test_made_up_names_find_another(begin):
    names = [begin("now", made_up=True).folder.name for _ in range(3)]
    assert names == ["now", "now-2", "now-3"]


def test_a_given_name_is_taken_by_what_a_run_has_left(begin):
    learnt(begin("mine"))
    with pytest.raises(UsageError, match=r"mine.* is that of another run: --ckpt_path last goes on"):
        begin("mine")
    assert begin("mine", made_up=True).folder.name == "mine-2"


def test_a_folder_of_somebodys_notes_is_free(begin, tmp_path):
    notes = tmp_path / "logs" / "net" / "mine" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("why")
    claim = begin("mine")
    (claim.folder / "config.yaml").write_text("x")
    claim.withdraw()
    assert list(notes.parent.iterdir()) == [notes]


def test_a_living_run_is_left_alone(begin, living, tmp_path):
    folder = tmp_path / "logs" / "net" / "mine"
    folder.mkdir(parents=True)
    living(folder)
    with pytest.raises(UsageError, match="in use by process"):
        begin("mine")
    with pytest.raises(UsageError, match="in use by process"):
        run_folder.go_on(folder, folder / "checkpoints")
    assert begin("mine", made_up=True).folder.name == "mine-2"


@pytest.mark.parametrize("made_up", [False, True])
def test_checkpoints_of_a_living_run_are_left_alone(begin, living, tmp_path, made_up):
    (tmp_path / "snapshots").mkdir()
    living(tmp_path / "snapshots")
    with pytest.raises(UsageError, match="snapshots is in use"):
        begin(snapshot_dir=tmp_path / "snapshots", made_up=made_up)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("name", ["last.ckpt", "best-step00000001.ckpt"])
def test_checkpoints_of_another_run_are_left_alone(begin, tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match="is that of another run"):
        begin(snapshot_dir=tmp_path, made_up=True)


def test_a_job_that_is_queued_again_begins_again(begin, monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    claim = begin("mine")
    for name in ("config.yaml", "metrics.csv"):
        (claim.folder / name).write_text("x")
    claim.release()
    assert begin("mine").folder == claim.folder
    assert not (claim.folder / "metrics.csv").exists()  # rows of what has no checkpoint
    (claim.folder / "config.yaml").write_text("x")
    monkeypatch.setenv("SLURM_JOB_ID", "13")
    with pytest.raises(UsageError, match="another run"):
        begin("mine")


def test_torchrun_begins_again_what_it_restarts(begin, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    claim = begin("mine")
    (claim.folder / "config.yaml").write_text("x")
    claim.release()
    with pytest.raises(UsageError, match="another run"):
        begin("mine")  # another torchrun
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert begin("mine").folder == claim.folder


def test_going_on_where_there_may_be_nothing_yet(begin):
    """As --ckpt_path auto does in a container that was killed early."""
    claim = begin("mine")
    (claim.folder / "config.yaml").write_text("x")
    claim.release()
    assert begin("mine", again=True).folder == claim.folder


def test_a_run_that_has_not_begun_leaves_nothing(begin, tmp_path):
    claim = begin("mine", snapshot_dir=tmp_path / "far" / "snapshots")
    (claim.folder / "wandb").mkdir()
    (claim.folder / "wandb" / "file").write_text("x")
    (claim.checkpoints / "MODEL.md").write_text("x")
    claim.withdraw()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["..", "../elsewhere", "a/../..", "/tmp/elsewhere", "."])
def test_names_that_lead_elsewhere(begin, name):
    with pytest.raises(UsageError, match="--name"):
        begin(name)


def test_a_run_that_has_moved_goes_on_where_it_is(tmp_path):
    run = Run(tmp_path / "b", "net", tmp_path / "b" / "checkpoints", {"name": "a", "log_dir": "logs"})
    root = tmp_path / "logs" / "net"
    assert run_folder.is_same(run, root, "logs", "a")
    assert not run_folder.is_same(run, root, "logs", "c")
    assert not run_folder.is_same(run, root, "other", "a")
