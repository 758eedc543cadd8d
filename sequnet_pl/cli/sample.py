"""sample.py: sound from a trained network, to files with a page to listen on, or live."""

import logging
import sys
from contextlib import suppress
from pathlib import Path

import torch

from sequnet_pl.cli.sample_options import Options
from sequnet_pl.errors import UserError
from sequnet_pl.report.run import link_page
from sequnet_pl.sampling.clip_folder import ROOT, ClipFolder, new_folder
from sequnet_pl.sampling.clips import Batch, drawn_blocks, make_batch
from sequnet_pl.sampling.engines import Block
from sequnet_pl.sampling.jobs import Plan, longer_clip, new_clips
from sequnet_pl.sampling.live import Live, Pipe, Speaker
from sequnet_pl.sampling.progress import SampleProgress
from sequnet_pl.training.checkpoints import Run, run_of_checkpoint

log = logging.getLogger(__name__)


def sample(options: Options) -> None:
    """All of sample.py that comes after its options; what is not the user's to mend is raised."""
    torch.set_flush_denormal(True)  # before any parallel operation, since threads inherit it
    logging.getLogger("sequnet_pl").setLevel(logging.INFO)
    plan = longer_clip(options, Path(options.continue_clip)) if options.continue_clip else new_clips(options)
    rate = plan.trained.sample_rate
    run = run_of_checkpoint(plan.trained.path, Path(options.log_dir))
    folder = plan.folder if options.output_dir is None else Path(options.output_dir)
    clip_folder = own_folder = None
    if options.output_dir or not (options.stdout or options.play):
        if folder is None:
            name = options.pretrained or (run.folder.resolve().name if run else plan.trained.name)
            folder = own_folder = new_folder(name)
        clip_folder = ClipFolder(folder)
    live = _live(options, rate)
    try:
        with SampleProgress(plan.total, rate, live is not None) as progress:
            progress.begin("reading the prompt")
            for batch in plan.batches:
                first = batch.clips[0]
                progress.begin(f"clips from {first.clip}, temperature {first.temperature:g}")
                _make(plan, batch, clip_folder, live, progress)
    except (KeyboardInterrupt, UserError):
        if clip_folder and clip_folder.own:
            with suppress(UserError):
                log.info("what was made is kept: %s", clip_folder.write_page())
        elif own_folder:
            with suppress(OSError):
                own_folder.rmdir()
        raise
    log.info("%.2f s of sound in %.1f s: %s", progress.drawn / rate, progress.seconds, progress.speed)
    if live:
        live.close()
    if clip_folder:
        _write_pages(clip_folder, run, own_folder is not None)


def _write_pages(clip_folder: ClipFolder, run: Run | None, own_folder: bool) -> None:
    """Write the page of the clips, link it from those of its run and of generated/, and log what was made."""
    page = clip_folder.write_page(run and run.folder)
    linked = page
    if clip_folder.folder.resolve().parent == ROOT.resolve():
        overview = ClipFolder(ROOT).write_page()
        linked = overview if own_folder else page
    if run:
        link_page(run.folder, f"clips in {linked.parent.resolve().name}", linked)
    log.info(
        "clips: %d, silent (level below -60 dBFS): %d",
        len(clip_folder.own),
        sum(clip.silent for clip in clip_folder.own),
    )
    log.info("listen: %s", page)


def _make(
    plan: Plan, batch: Batch, clip_folder: ClipFolder | None, live: Live | None, progress: SampleProgress
) -> None:
    """One batch, to all that want it."""
    if live:
        live.write(batch.prompts[0])

    def watch(block: Block) -> None:
        progress.add_block(block)
        if live:
            live.write(block.codes[0].cpu().numpy())

    if clip_folder:
        make_batch(plan.trained.network, plan.engine, batch, clip_folder, plan.command, watch)
    else:
        for block in drawn_blocks(plan.trained.network, plan.engine, batch):
            watch(block)


def _live(options: Options, rate: int) -> Live | None:
    if options.stdout:
        return Pipe(sys.stdout.buffer, rate, header=options.stdout != "raw")
    return Speaker(rate) if options.play else None
