"""What Lightning says that is of no use here."""

import logging
import re
import warnings


def hush() -> None:
    """Silence what Lightning says that is of no use here; each with its reason."""
    messages = (
        "does not have many workers",  # one process gathers thousands of crops a second
        "exists and is not empty",  # a resumed run goes on in its folder
        "could not find the monitored key",  # no validation, which has been said
        "treespec, LeafSpec",  # between Lightning and torch
        "number of training batches .* is smaller than the logging interval",
        "You defined a `validation_step` but have no `val_dataloader`",
        "Total length of `.*` across ranks is zero",
        # those that save read the folder instead, and are called after their settings
        r'Be aware .* callbacks: \[("(Model|Best|Last)Checkpoint\{[^"]*"(, )?)+\]',
    )
    for message in messages:
        warnings.filterwarnings("ignore", message=f".*{message}")
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
        lambda record: not re.search(r"litlogger|litmodels|Tip:|set_float32_matmul_precision", record.getMessage())
    )
