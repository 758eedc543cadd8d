"""Mistakes on the command line of train.py, each in one line with nothing lost."""

import errno
import os

import pytest
import torch
from tiny import fit, one_line, run_folder

from sequnet_pl.data.download import Result


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("--model sequnet --levels 0", 2, "levels is 0"),
        ("--model sequnet --kernel_size 4", 2, "kernel_size is 4"),
        ("--model sequnet --lr -1", 2, "lr is -1"),
        ("--model wavenet --code_frequency -1", 2, "code_frequency is -1"),
        ("--model sequnet --batch_size 0", 2, "batch_size is 0"),
        ("--model sequnet --sample_audio.seconds -1", 2, "seconds"),
        ("--model sequnet --dataset builtin --features 100000000", 1, "weights of the network take"),
        ("--model sequnet --dataset builtin --state 100000000000", 1, "weights of the network take"),
        ("--model sequnet --audio_dir nowhere", 1, "there is no folder nowhere"),
    ],
)
def test_mistakes_are_one_line(run, line, status, message):
    result, err, _ = run(line)
    assert result == status, err
    assert message in one_line(err)


def test_a_piano_without_recordings_names_what_to_do(run, tmp_path, monkeypatch):
    asked = []

    def limited(items, folder, **_):
        asked.append(folder)
        return Result([], "www.youtube.com limits how much it gives", folder)

    monkeypatch.setattr("sequnet_pl.data.download.download", limited)  # no test asks the network
    status, err, _ = run("--model sequnet --dataset piano")
    assert (status, asked) == (1, [tmp_path / "data" / "recordings"])
    assert "www.youtube.com limits" in one_line(err)
    assert "--audio_dir FOLDER" in one_line(err)
    assert "--dataset builtin" in one_line(err)


def test_own_recordings_take_the_place_of_those_of_the_run(run, audio_folder, tmp_path, caplog):
    assert run(fit("sequnet", audio_folder, 3))[0] == 0
    path = tmp_path / "mine.csv"
    path.write_text(f"path,split\n{audio_folder}/test/0.wav,train\n{audio_folder}/test/1.wav,test\n")
    status, err, out = run(f"test --ckpt_path last --audio_list {path}")
    assert status == 0, err
    assert "learnt from other recordings" in caplog.text
    assert "this network" in out
    status, err, _ = run(f"test --ckpt_path last --audio_list {path} --audio_dir {audio_folder}")
    assert status == 2
    assert f"--audio_dir {audio_folder} and --audio_list {path}" in one_line(err)


def test_output_folders_that_cannot_be_made(run, audio_folder, tmp_path):
    (tmp_path / "file").write_text("")
    status, err, _ = run(
        f"--model sequnet --gpus 0 --audio_dir {audio_folder} --log_dir {tmp_path}/file/logs", defaults=False
    )
    assert status == 1
    assert f"{tmp_path}/file/logs" in one_line(err)


def test_no_space_for_a_checkpoint_keeps_the_old_one(run, audio_folder, tmp_path, monkeypatch):
    assert run(fit("sequnet", audio_folder, 3))[0] == 0
    path = run_folder(tmp_path, "sequnet") / "checkpoints" / "last.ckpt"
    before = path.read_bytes()

    def full(temporary, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sequnet_pl.atomic._publish", full)
    status, err, _ = run("--ckpt_path last --max_steps 5")
    assert status == 1
    assert "No space left" in one_line(err)
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} <= {"last.ckpt", "best-step00000003.ckpt", "MODEL.md"}


def test_bad_checkpoints(run, audio_folder, tmp_path):
    assert run(fit("sequnet", audio_folder, 3))[0] == 0
    last = run_folder(tmp_path, "sequnet") / "checkpoints" / "last.ckpt"
    half = tmp_path / "half.ckpt"
    half.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    evil = tmp_path / "evil.ckpt"
    torch.save({"state_dict": Malicious(tmp_path / "run")}, evil)
    other = tmp_path / "other.ckpt"
    torch.save({"weights": torch.zeros(1)}, other)
    for path, message in ((half, "damaged"), (evil, "refused"), (other, "names no network")):
        for command in ("test", "fit"):
            status, err, _ = run(f"{command} --ckpt_path {path}")
            assert status == 1
            assert message in one_line(err)
            assert str(path) in err
    assert not (tmp_path / "run").exists()
    status, err, _ = run(f"fit --model wavenet --ckpt_path {last}")
    assert status == 2
    assert "is of sequnet" in one_line(err)
    status, err, _ = run(f"fit --ckpt_path {last} --features 5")
    assert status == 2
    assert "--features 5" in one_line(err)


class Malicious:
    """A pickle that makes a file when it is loaded carelessly."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)
