"""train.py: from the command line to a run in its folder."""

import os

import torch

from sequnet_pl.cli.resolve import agree
from sequnet_pl.cli.train_options import read_command_line
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.training import process, run_dir
from sequnet_pl.training.health import library_message
from sequnet_pl.training.run import build, run
from sequnet_pl.training.saving import handling_end_of_job

_CHECKPOINT = "SEQUNET_PL_CHECKPOINT"
"""Variable of the environment with which Lightning launches processes: the checkpoint that the first one has found."""


def train(argv: list[str]) -> int:
    """Train or score as a command line specifies. UserError and UsageError where it is not possible."""
    torch.set_flush_denormal(True)  # before any parallel operation, since threads inherit it
    launched = process.exit_with_launcher()
    process.filter_warnings()
    request = read_command_line(argv, os.environ.get(_CHECKPOINT) if launched else None)
    job, settings = request.job, request.job.settings
    os.environ[_CHECKPOINT] = str(job.checkpoint or "")
    if request.print_config:
        print(request.parser.dump(settings, skip_unset=False), end="")  # noqa: T201
        return 0
    if job.checkpoint:
        agree(settings, job.checkpoint, job.fits)
    if not launched and str(settings.trainer.devices) == "1" and settings.trainer.num_nodes == 1:
        process.ignore_stray_ranks()
    process.set_threads(settings.threads and int(settings.threads))
    recordings = StoredRecordings.of(settings.data.as_dict())
    if process.is_rank_zero():
        recordings.check()  # before a network is built for them
    if recordings.labels and not settings.model.init_args.label_names:
        settings.model.init_args.label_names = recordings.label_names()
    folder, claim = run_dir.open_for(job, launched, request.again)
    trainer = None
    try:
        try:
            trainer, module, data = build(job, request.parser, folder)
        except Exception as error:
            if mistake := library_message(error):
                raise mistake from error
            raise
        kept = settings.clone()
        kept.ckpt_path = kept.best.dirpath = kept.last.dirpath = None
        with handling_end_of_job():
            run(job, trainer, module, data, folder, request.parser.dump(kept, skip_unset=False))
    finally:
        if claim:
            claim.release(began=bool(trainer and trainer.global_step))
    return 0
