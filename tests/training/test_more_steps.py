import pytest
from noisy_runs import EPOCH, files
from short_runs import same_weights


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (5, {}),
        (EPOCH, {}),
        pytest.param(EPOCH, {"val_check_interval": 5}),
        (EPOCH, {"check_val_every_n_epoch": 2}),
        (5, {"check_val_every_n_epoch": None, "val_check_interval": 4}),
        pytest.param(EPOCH, {"check_val_every_n_epoch": None, "val_check_interval": 4}),
        pytest.param(5, {"val_check_interval": "00:01:00:00"}),
        (5, {"accumulate_grad_batches": 2}),
        pytest.param(EPOCH, {"accumulate_grad_batches": 2}),
        pytest.param(5, {"max_epochs": 4}),
        (EPOCH, {"keep": 9}),
        (5, {"keep": 0}),
        pytest.param(5, {"log_every_n_steps": 50}),
        (EPOCH, {"log_every_n_steps": 0}),
        (5, {"limit_val_batches": 1}),
        (EPOCH, {"limit_val_batches": 0}),
        (5, {"data": {"val_hours": 0.00005}}),
        pytest.param(5, {"data": {"num_workers": 1}}),
        pytest.param(EPOCH, {"precision": "bf16-mixed"}),
    ],
    ids=str,
)
def test_more_steps_go_on_as_unbroken(noisy, steps, options):
    noisy("run", max_steps=steps, **options)
    resumed = noisy("run", go_on=True, max_steps=12, **options)
    unbroken = noisy("whole", max_steps=12, **options)
    assert resumed.error is unbroken.error is None
    assert same_weights(unbroken, resumed)
    print(
        "rows differ",
        [k for k in ("train/bits_per_sample", "val/bits_per_sample") if unbroken.curve(k) != resumed.curve(k)],
        files(unbroken),
        files(resumed),
    )
