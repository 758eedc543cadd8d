"""Numbers that no run can have, though Lightning takes them and fails later, in words of its own."""

from jsonargparse import Namespace

from sequnet_pl.cli.flags import typed
from sequnet_pl.errors import UsageError

_LEAST = {
    "trainer.accumulate_grad_batches": 1,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.log_every_n_steps": 0,
    "trainer.num_sanity_val_steps": -1,
    "trainer.gradient_clip_val": 0,
    "best.save_top_k": 0,
}
_NOTHING = {  # what would leave nothing to do, and end as if all were well
    "fit": ("trainer.limit_train_batches", "trainer.max_steps", "trainer.max_epochs"),
    "validate": ("trainer.limit_val_batches",),
    "test": ("trainer.limit_test_batches",),
}


def check_numbers(config: Namespace, subcommand: str) -> None:
    """UsageError for a setting that is less than it can be."""
    for name in _NOTHING.get(subcommand, ()):
        if config[name] == 0:
            raise UsageError(f"--{typed(name)} is 0, which leaves nothing to {subcommand}; raise it or leave it out")
    for name, least in _LEAST.items():
        if (value := config[name]) is not None and value < least:
            raise UsageError(f"--{typed(name)} is {value}, but must be {least} or more")
    if config.trainer.val_check_interval == 0:
        raise UsageError(
            "--trainer.val_check_interval is 0, but must be more; --trainer.limit_val_batches 0 never validates"
        )
