"""What jsonargparse and Lightning find wrong, in one line with the names that were typed."""

import pytest
from tiny_run import TINY


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--levels eight", "\"model.init_args.levels\": Expected a <class 'int'>. Got value: eight"),
        ("--levels", "error: --levels: expected one argument"),
        ("--depth 2,1", "error: --depth: expected int or list, not 2,1"),
        ("--dataset builtin --builtin_takes 0", "--builtin_takes is 0, but each piece is played 1 to 1,000 times"),
        ("--builtin_takes 40", "--builtin_takes 40 goes with --dataset builtin, not with --dataset piano"),
        ("--channel middle", "Expected a typing.Literal['mix', 'left', 'right']. Got value: middle"),
        ("--compile fast", "error: --compile: expected bool or auto, not fast"),
        ("--trainer.deterministic maybe", "--trainer.deterministic: expected bool or warn, not maybe"),
        ("--ema 1", '"ema": 1 does not conform to restriction v>=0 and v<1'),
        ("--minutes inf", '"minutes": inf does not conform to restriction v>0 and v<inf'),
        ("stray", "unrecognized arguments: stray"),
        ("--sample-rate 8000", "there is no option --sample-rate; did you mean --sample_rate?"),
        ("--learning_rate 1", "there is no option --learning_rate; did you mean --lr?"),
        ("--ckpt last", "there is no option --ckpt; did you mean --ckpt_path?"),
        ("--trainer.max_epoch 3", "did you mean --trainer.max_epochs?"),
        ("--model.init_args.layers 3", "there is no option --model.init_args.layers"),
        ("--trainer.callbacks+=Nope", '"trainer.callbacks": Expected a dot import path string: Nope'),
    ],
)
def test_options(run, line, message):
    status, said = run(f"--model sequnet {line}")
    assert (status, message in said) == (2, True), said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam: x", "Option 'nam' is not accepted"),
        ("data: {audio_dir: 2024}", "audio_dir 2024: expected a text"),
        ("- a", "contains no settings"),
        ("model: {class_path: sequnet, init_args: {state: null}}", "my.yaml: model.init_args.state is null or empty"),
        ("seed_everything: null", "my.yaml: seed_everything is null or empty"),
        ("data:", "my.yaml: data is null or empty"),
        ("data: builtin", "my.yaml: data is builtin, but is a section of settings"),
        ("trainer: fast", "my.yaml: trainer is fast, but is a section of settings"),
        ("init_from: 5", "init_from 5: expected a text"),
        ("model: 5", "there is no model 5"),
        ("? [a]\n: b", "is not valid YAML: a key is not a name, line 1"),
        ("a: [", "is not valid YAML"),
        ("trainer:\n  max_steps: 2\nname: a\ntrainer:\n  max_epochs: 2", "the key trainer occurs twice, line 4"),
        (
            "data: {batch_size: many}",
            "my.yaml: Parser key \"data.batch_size\": Expected a <class 'int'>",
        ),
    ],
)
def test_configs(run, tmp_path, text, message):
    (tmp_path / "my.yaml").write_text(text)
    status, said = run(f"--model sequnet --config {tmp_path}/my.yaml")
    assert (status, message in said) == (2, True), said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--trainer.val_check_interval 1000", "must be less than or equal to the number of the training batches"),
        ("--trainer.check_val_every_n_epoch 0", "--trainer.check_val_every_n_epoch is 0, but must be 1 or more"),
        ("--trainer.accumulate_grad_batches 0", "--trainer.accumulate_grad_batches is 0, but must be 1 or more"),
        ("--trainer.limit_train_batches 0", "--trainer.limit_train_batches is 0, which leaves nothing to fit"),
        ("--epochs 0", "--epochs is 0"),
        ("--clip -1", "but must be 0 or more"),
        ("--trainer.strategy nope", "invalid strategy name"),
        ("--trainer.logger true", "--logger chooses"),
        ("--trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor=nope", "`nope` which is not available"),
        ("--trainer.callbacks+=EMAWeightAveraging --trainer.callbacks.decay=2", "Invalid decay value 2.0"),
        ("--best.every_n_train_steps 1 --best.every_n_epochs 1", "should be mutually exclusive"),
        ("--trainer.callbacks+=Timer --trainer.callbacks.duration=x", "`Timer(duration='x')` is not a valid duration"),
    ],
)
def test_settings_of_the_trainer(run, audio_folder, tmp_path, line, message):
    where = f"--audio_dir {audio_folder} --data_dir {tmp_path} --log_dir {tmp_path}/logs --gpus 0 --logger none"
    status, said = run(f"--model sequnet {TINY} {where} {line}")
    assert (status, message in said) == (2, True), said


def test_what_is_not_installed(run, audio_folder, tmp_path, monkeypatch):
    where = f"--audio_dir {audio_folder} --data_dir {tmp_path} --log_dir {tmp_path}/logs"
    status, said = run(f"--model sequnet {TINY} {where} --logger none --trainer.accelerator tpu")
    assert (status, "torch_xla" in said) == (2, True), said
    for package in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(f"lightning_fabric.loggers.tensorboard.{package}", False)
    status, said = run(f"--model sequnet {TINY} {where} --logger tensorboard")
    assert (status, "tensorboard" in said) == (2, True), said
    assert not (tmp_path / "logs").exists()
