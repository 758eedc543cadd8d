"""The progress bar of a training: bits, speed and hours, on one line of any terminal."""

import io
import re

import pytest
import pytorch_lightning as pl
from rich.console import Console

from sequnet_pl.training.measures import Measures
from sequnet_pl.training.progress import AudioProgressBar
from sequnet_pl.training.sampling import SampleAudio


def test_the_bar_shows_bits_speed_and_hours(fit):
    bar = AudioProgressBar()
    shown = []

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            shown.append(bar.get_metrics(trainer, pl_module))

    samples = []

    class Heard(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            samples.append(int(batch.valid.sum()))

    callbacks = [Measures(), bar, Look(), Heard()]
    run = fit(callbacks=callbacks, enable_progress_bar=True, data={"sample_rate": 100, "hop_size": 20})
    assert run.error is None
    assert set(shown[-1]) == {"bits", "samples/s", "hours"}
    assert shown[-1]["hours"] == f"{sum(samples) / 100 / 3600:.2f}"
    assert run.last["callbacks"]["Measures"]["heard"] == sum(samples)


@pytest.mark.parametrize("speed", [0, 950, 9_960, 123_456, 999_600, 4_567_890, 23_456_789, 2e9])
def test_the_bar_fits_a_terminal_and_ends_full(fit, monkeypatch, speed):
    bar, lines = AudioProgressBar(), []

    def look():
        console = Console(width=80, file=io.StringIO(), force_terminal=True, legacy_windows=False)
        console.print(bar.progress.get_renderable())
        lines.append(re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue()).splitlines()[0].rstrip())

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            bar._rate = speed
            bar._update_metrics(trainer, pl_module)
            look()

        def on_train_end(self, trainer, pl_module):
            look()

    run = fit(callbacks=[Measures(), bar, Look()], enable_progress_bar=True, max_steps=11, max_epochs=10_000)
    assert run.error is None
    done, shown, words = r"\d+/(7|4)", r"\d+(\.\d)?[kMG]?", r"\d:\d\d:\d\d"
    for line in lines[1:]:
        pattern = (
            rf"Epoch [01]/9999 +━*╸?╺?━* {done} +({words}|-:--:--) bits: \d\.\d\d\d samples/s: {shown} hours: 0\.00"
        )
        assert re.fullmatch(pattern, line), line
    assert "4/4" in lines[-1]  # where max_steps ends the second epoch


def test_the_bar_leaves_sampling_out_of_the_speed(fit, monkeypatch):
    bar, seen = AudioProgressBar(), []
    sampler = SampleAudio(every_n_steps=1, every_n_epochs=0, seconds=0.01, continuations=0, second_temperature=None)

    class Sampled(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            if trainer.global_step == 2:
                sampler.seconds_taken += 1000.0
                bar._mark = None  # it looks again without waiting for a second
            seen.append(next(each for each in trainer.callbacks if isinstance(each, Measures)).now(trainer)[0])

    assert (
        fit(
            callbacks=[Measures(), bar, sampler, Sampled()], enable_progress_bar=True, max_steps=4, limit_val_batches=0
        ).error
        is None
    )
    assert bar._mark is not None
    assert bar._mark[0] <= seen[-1] + 100 < seen[0]  # the same clock, which has stood still
