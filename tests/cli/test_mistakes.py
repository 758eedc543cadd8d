"""What the parser and Lightning refuse, in one line with the names that were typed."""

import re

import pytest
from tiny_run import TINY

from sequnet_pl.project import CONFIGS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "name a model"),
        ("--model sequnt", "there is no model sequnt: choose sequnet or wavenet"),
        ("--model some.Class", "cannot import the model some.Class: No module named .some."),
        ("--model wavenet --features 9", "there is no option --features"),
        ("--model sequnet stray", "unrecognized arguments: stray"),
        (f"--model wavenet --config {CONFIGS / 'demo.yaml'}", "is one of sequnet"),
        ("test", "name what to test"),
        ("eval", "there is no command eval: choose fit, validate or test"),
        ("predict --ckpt_path last", "there is no command predict: .*sample.* generates audio"),
        ("--model sequnet --levels=", "--levels has an empty value"),
        ("--model sequnet --name ''", "--name has an empty value"),
        ("--config demo.yaml", "cannot read the config demo.yaml: No such file or directory$"),
        ("--config configs/sequnet-fast.yaml", "No such file or directory; did you mean configs/sequnet_fast.yaml"),
    ],
)
def test_command_lines_that_make_no_sense(run, tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    status, error = run(line)
    assert status == 2
    assert re.search(message, error), error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--levels eight", "\"model.init_args.levels\": Expected a <class 'int'>. Got value: eight"),
        ("--depth 2,1", "error: --depth: expected int or list, not 2,1"),
        ("--dataset builtin --builtin_takes 0", "--builtin_takes is 0, but each piece is played 1 to 1,000 times"),
        ("--builtin_takes 40", "--builtin_takes 40 goes with --dataset builtin, not with --dataset piano"),
        ("--compile fast", "error: --compile: expected bool or auto, not fast"),
        ("--minutes inf", '"minutes": inf does not conform to restriction v>0 and v<inf'),
        ("--seed -1", "--seed is -1, but must be 0 to 2^32 - 1"),
        ("--sample_audio.seed 4294967296", "--sample_audio.seed is 4294967296, but must be 0 to 2^32 - 1"),
        ("--learning_rate 1", "there is no option --learning_rate; did you mean --lr?"),
        ("--trainer.max_epoch 3", "did you mean --trainer.max_epochs?"),
        ("--model.init_args.layers 3", "there is no option --model.init_args.layers"),
        ("--trainer.callbacks+=Nope", '"trainer.callbacks": Expected a dot import path string: Nope'),
    ],
)
def test_options(run, line, message):
    status, error = run(f"--model sequnet {line}")
    assert (status, message in error) == (2, True), error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam: x", "Option 'nam' is not accepted"),
        ("data: {audio_dir: 2024}", "audio_dir 2024: expected a text"),
        ("- a", "contains no settings"),
        ("model: {class_path: sequnet, init_args: {state: null}}", "my.yaml: model.init_args.state is null or empty"),
        ("data:", "my.yaml: data is null or empty"),
        ("data: builtin", "my.yaml: data is builtin, but is a section of settings"),
        ("init_from: 5", "init_from 5: expected a text"),
        ("model: 5", "there is no model 5"),
        ("? [a]\n: b", "is not valid YAML: found unhashable key, line 1"),
        ("a: [", "is not valid YAML"),
        ("trainer:\n  max_steps: 2\nname: a\ntrainer:\n  max_epochs: 2", "the key trainer occurs twice, line 4"),
        ("data: {batch_size: many}", "my.yaml: Parser key \"data.batch_size\": Expected a <class 'int'>"),
    ],
)
def test_configs(run, tmp_path, text, message):
    (tmp_path / "my.yaml").write_text(text)
    status, error = run(f"--model sequnet --config {tmp_path}/my.yaml")
    assert (status, message in error) == (2, True), error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--levels 0", "levels is 0"),
        ("--lr -1", "lr is -1"),
        ("--code_frequency -1", "code_frequency is -1"),
        ("--batch_size 0", "batch_size is 0"),
        ("--sample_audio.seconds -1", "seconds"),
        ("--name ../elsewhere", "--name ../elsewhere is not the name of a folder"),
        ("--name .", "--name . is not the name of a folder"),
        ("--minutes 1 --trainer.max_time 00:00:01:00", "--minutes sets --trainer.max_time: leave one of them out"),
        ("--trainer.max_time 00:00:00:00", "give --minutes above 0"),
        ("--trainer.max_time 5", "not a valid duration"),
        ("--max_steps 0", "--max_steps is 0"),
        ("--anneal --max_steps -1 --epochs -1", "--anneal and --warmup need a length"),
        ("--trainer.val_check_interval 1000", "must be less than or equal to the number of the training batches"),
        ("--trainer.check_val_every_n_epoch 0", "--trainer.check_val_every_n_epoch is 0, but must be 1 or more"),
        ("--trainer.limit_train_batches 0", "--trainer.limit_train_batches is 0, which leaves nothing to fit"),
        ("--clip -1", "but must be 0 or more"),
        ("--trainer.strategy nope", "invalid strategy name"),
        ("--trainer.logger true", "--logger chooses"),
        ("--trainer.accelerator tpu", "torch_xla"),
        ("--trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor=nope", "`nope` which is not available"),
        ("--trainer.callbacks+=Timer --trainer.callbacks.duration=x", "`Timer(duration='x')` is not a valid duration"),
    ],
)
def test_settings_of_a_run(run, audio_folder, tmp_path, line, message):
    device = "" if "accelerator" in line else "--gpus 0"
    where = f"--audio_dir {audio_folder} --data_dir {tmp_path} --log_dir {tmp_path}/logs {device} --logger none"
    status, error = run(f"--model sequnet {TINY} {where} {line}")
    assert (status, message in error) == (2, True), error
    assert (tmp_path / "logs").exists() == ("`nope`" in message)  # which the first validation finds


def test_tensorboard_that_is_not_installed(run, audio_folder, tmp_path, monkeypatch):
    for package in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(f"lightning_fabric.loggers.tensorboard.{package}", False)
    where = f"--audio_dir {audio_folder} --data_dir {tmp_path} --log_dir {tmp_path}/logs"
    status, error = run(f"--model sequnet {TINY} {where} --logger tensorboard")
    assert (status, "tensorboard" in error) == (2, True), error
    assert not (tmp_path / "logs").exists()
