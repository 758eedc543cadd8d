"""sample.py: sound from a trained network, to files with a page to listen on, or live."""

import logging
import sys
from contextlib import suppress
from pathlib import Path

import torch

from sequnet_pl.cli.sample_options import Options
from sequnet_pl.errors import UserError
from sequnet_pl.report.run import link_page
from sequnet_pl.sampling.album import Album
from sequnet_pl.sampling.clips import Batch, drawn_blocks, make_batch
from sequnet_pl.sampling.engines import Block
from sequnet_pl.sampling.jobs import Plan, longer_clip, new_clips
from sequnet_pl.sampling.live import Live, Pipe, Speaker
from sequnet_pl.sampling.progress import SampleProgress
from sequnet_pl.training.checkpoints import run_of_checkpoint

log = logging.getLogger(__name__)


def sample(options: Options) -> None:
    """All of sample.py that comes after its options; what is not the user's to mend is raised."""
    torch.set_flush_denormal(True)  # before any parallel operation, since threads inherit it
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    plan = longer_clip(options, Path(options.continue_clip)) if options.continue_clip else new_clips(options)
    rate = plan.trained.sample_rate
    album = None
    if options.output_dir or not (options.stdout or options.play):
        album = Album(Path(options.output_dir) if options.output_dir else plan.folder)
    live = _live(options, rate)
    try:
        with SampleProgress(plan.total, rate, live is not None) as progress:
            progress.begin("reading the prompt")
            for batch in plan.batches:
                recipe = batch.recipes[0]
                progress.begin(f"clips from {recipe.clip}, temperature {recipe.temperature:g}")
                _make(plan, batch, album, live, progress)
    except (KeyboardInterrupt, UserError):
        if album and album.changed:
            with suppress(UserError):
                log.info("what was made is kept: %s", album.write_page())
        raise
    log.info("%.2f s of sound in %.1f s: %s", progress.drawn / rate, progress.seconds, progress.speed)
    if live:
        live.close()
    if album:
        run = run_of_checkpoint(plan.trained.path, Path(options.log_dir))
        page = album.write_page(run and run.folder)
        if run:
            link_page(run.folder, f"clips in {album.folder.resolve().name}", page)
        log.info("listen: %s", page)


def _make(plan: Plan, batch: Batch, album: Album | None, live: Live | None, progress: SampleProgress) -> None:
    """One batch, to all that want it."""
    if live:
        live.write(batch.heads[0])

    def watch(block: Block) -> None:
        progress.advance(block)
        if live:
            live.write(block.codes[0].cpu().numpy())

    if album:
        make_batch(plan.trained.network, plan.engine, batch, album, plan.command, watch)
    else:
        for block in drawn_blocks(plan.trained.network, plan.engine, batch):
            watch(block)


def _live(options: Options, rate: int) -> Live | None:
    if options.stdout:
        return Pipe(sys.stdout.buffer, rate, header=options.stdout != "raw")
    return Speaker(rate) if options.play else None
