"""What jsonargparse and Lightning find wrong, in one line with the names that were typed."""

import gzip
from pathlib import Path

import pytest
from tiny_run import TINY

CHECKPOINTS = Path(__file__).parents[1] / "fixtures" / "checkpoints"
EMA = "sequnet_pl.training.averaging.ScoredEMA"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--levels eight", "--levels eight: expected a whole number"),
        ("--lr fast", "--lr fast: expected a number"),
        ("--anneal maybe", "--anneal maybe: expected true or false"),
        ("--levels", "--levels needs a value"),
        ("--batch_size", "--batch_size needs a value"),
        ("--depth 2,1", "--depth 2,1: expected a whole number or a list of them"),
        ("--batch_size 2.5", "--batch_size 2.5: expected a whole number"),
        ("--dataset builtin --builtin_takes 0", "--builtin_takes is 0, but each piece is played 1 to 1,000 times"),
        ("--dataset builtin --builtin_takes many", "--builtin_takes many: expected a whole number"),
        ("--builtin_takes 40", "--builtin_takes 40 goes with --dataset builtin, not with --dataset piano"),
        ("--val_hours some", "--val_hours some: expected a number"),
        ("--channel middle", "--channel middle: expected mix, left or right"),
        ("--compile fast", "--compile fast: expected true, false or auto"),
        ("--trainer.deterministic maybe", "--trainer.deterministic maybe: expected true, false or warn"),
        ("--precision half", "--precision half: expected 64, 32, 16, transformer-engine"),
        ("--precision 16-mixd", "did you mean 16-mixed?"),
        ("--seed x", "--seed takes a whole number from 0, not x"),
        ("--ema 1", "--ema takes a number from 0 to below 1, not 1"),
        ("--sample-rate 8000", "there is no option --sample-rate; did you mean --sample_rate?"),
        ("--learning_rate 1", "there is no option --learning_rate; did you mean --lr?"),
        ("--ckpt last", "there is no option --ckpt; did you mean --ckpt_path?"),
        ("--trainer.max_epoch 3", "did you mean --trainer.max_epochs?"),
        ("--model.init_args.layers 3", "there is no setting layers"),
        ("--trainer.callbacks+=Nope", "--trainer.callbacks Nope: expected the name of a class"),
    ],
)
def test_options(run, line, message):
    status, said = run(f"--model sequnet {line}")
    assert (status, said) == (2, said)
    print(said, "|", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam: x", "there is no setting nam"),
        ("data: {audio_dir: 2024}", "--audio_dir 2024: expected a text"),
        ("- a", "holds no settings"),
        ("a: [", "is no YAML"),
    ],
)
def test_configs(run, tmp_path, text, message):
    (tmp_path / "my.yaml").write_text(text)
    status, said = run(f"--model sequnet --config {tmp_path}/my.yaml")
    assert status == 2, said
    print(said, "|", message)


def test_a_misspelt_model(run):
    assert run("--modle sequnet")[1] == "train.py: error: there is no option --modle; did you mean --model?"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--trainer.val_check_interval 1000", "must be less than or equal to the number of the training batches"),
        ("--trainer.val_check_interval 0", "--trainer.val_check_interval is 0"),
        ("--trainer.check_val_every_n_epoch 0", "--trainer.check_val_every_n_epoch is 0, but must be 1 or more"),
        ("--trainer.accumulate_grad_batches 0", "--trainer.accumulate_grad_batches is 0, but must be 1 or more"),
        ("--trainer.limit_train_batches 0", "--trainer.limit_train_batches is 0, which leaves nothing to fit"),
        ("--trainer.limit_train_batches 0.0", "--trainer.limit_train_batches is 0"),
        ("--max_steps 0", "--max_steps is 0"),
        ("--epochs 0", "--epochs is 0"),
        ("--clip -1", "but must be 0 or more"),
        ("--trainer.devices many", "should be an int > 0"),
        ("--trainer.strategy nope", "invalid strategy name"),
        ("--trainer.logger true", "--logger chooses"),
        ("--trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor=nope", "`nope` which is not available"),
        ("--best.mode foo", "`mode` can be min, max but got foo"),
        ("--best.every_n_train_steps -1", "every_n_train_steps=-1. Must be >= 0"),
        ("--best.every_n_train_steps 1 --best.every_n_epochs 1", "should be mutually exclusive"),
        ("--trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor=a --trainer.callbacks.mode=b", "got b"),
        ("--trainer.callbacks+=Timer --trainer.callbacks.duration=x", "`Timer(duration='x')` is not a valid duration"),
        (f"--trainer.callbacks+={EMA} --trainer.callbacks.decay=2", "decay is 2.0, but must be from 0 to below 1"),
        (f"--trainer.callbacks+={EMA} --trainer.callbacks.update_every_n_steps=0", "but must be 1 or more"),
    ],
)
def test_settings_of_the_trainer(run, audio_folder, tmp_path, line, message):
    where = f"--audio_dir {audio_folder} --data_dir {tmp_path} --log_dir {tmp_path}/logs --gpus 0 --logger none"
    status, said = run(f"--model sequnet {TINY} {where} {line}")
    assert status == 2, said
    print(said, "|", message)


def test_what_is_not_installed(run, audio_folder, tmp_path, monkeypatch):
    where = f"--audio_dir {audio_folder} --data_dir {tmp_path} --log_dir {tmp_path}/logs"
    status, said = run(f"--model sequnet {TINY} {where} --logger none --trainer.accelerator tpu")
    assert (status, "torch_xla" in said) == (2, True), said
    for package in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(f"lightning_fabric.loggers.tensorboard.{package}", False)
    status, said = run(f"--model sequnet {TINY} {where} --logger tensorboard")
    assert (status, "tensorboard" in said) == (2, True), said
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(("subcommand", "batches"), [("test", "test"), ("validate", "val")])
def test_scores_of_nothing(run, tmp_path, subcommand, batches):
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(gzip.decompress((CHECKPOINTS / "sequnet-2.ckpt.gz").read_bytes()))
    status, said = run(f"{subcommand} --ckpt_path {checkpoint} --trainer.limit_{batches}_batches 0")
    expected = f"--trainer.limit_{batches}_batches is 0, which leaves nothing to {subcommand}; raise it or leave it out"
    assert status == 2, said
