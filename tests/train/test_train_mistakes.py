"""Mistakes on the command line of train.py, each in one line with nothing lost."""

import os

import torch
from tiny import fit, run_folder


def test_own_recordings_replace_those_of_the_run(run, audio_folder, tmp_path, caplog):
    assert run(fit("sequnet", audio_folder, 3))[0] == 0
    path = tmp_path / "mine.csv"
    path.write_text(f"path,split\n{audio_folder}/test/0.wav,train\n{audio_folder}/test/1.wav,test\n")
    status, out = run(f"test --ckpt_path last --audio_list {path}")
    assert status == 0, out
    assert "learnt from other recordings" in caplog.text
    assert "this network" in out
    status, text = run(f"test --ckpt_path last --audio_list {path} --audio_dir {audio_folder}")
    assert status == 2
    assert f"--audio_dir {audio_folder} and --audio_list {path}" in text


def test_bad_checkpoints(run, audio_folder, tmp_path):
    assert run(fit("sequnet", audio_folder, 3))[0] == 0
    last = run_folder(tmp_path, "sequnet") / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    contents = {
        "refused": {"state_dict": Malicious(tmp_path / "run")},
        "names no network": {"weights": torch.zeros(1)},
        "normalise": content | {"hyper_parameters": content["hyper_parameters"] | {"normalise": True}},
        "network.gain": content | {"state_dict": content["state_dict"] | {"network.gain": torch.ones(1)}},
    }
    paths = {message: tmp_path / f"{number}.ckpt" for number, message in enumerate([*contents, "damaged"])}
    for message, changed in contents.items():
        torch.save(changed, paths[message])
    paths["damaged"].write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    for message, path in paths.items():
        for command in ("test", "fit"):
            status, text = run(f"{command} --ckpt_path {path}")
            assert status == (2 if message == "normalise" else 1)
            assert message in text and str(path) in text
    assert not (tmp_path / "run").exists()
    status, text = run(f"--init_from {paths['normalise']}")
    assert (status, "of another version: it has the setting normalise" in text) == (1, True)
    for more, message in (("--model wavenet", "is of sequnet"), ("--features 5", "--features 5")):
        status, text = run(f"fit --ckpt_path {last} {more}")
        assert status == 2
        assert message in text


class Malicious:
    """A pickle that makes a file when it is loaded carelessly."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)
