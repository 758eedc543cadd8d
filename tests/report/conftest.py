"""Clips for the tests of pages."""

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sequnet_pl.report.clip import PageClip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[PageClip]:
    """A continuation, a loop from silence, a clip too long to embed, and unmeasured ones; some have special names."""
    folder = tmp_path_factory.mktemp("clips & more")
    rate = 8000
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 31 * rate).astype(np.float32)
    loud = noise.copy()
    loud[:rate] = 1  # a clipped prompt, which the network did not make

    def entry(name: str, samples: NDArray[np.float32], prompt_end: float, bits: float | None) -> PageClip:
        soundfile.write(folder / name, samples, rate)
        return PageClip(
            name=name,
            wav=folder / name,
            prompt_end=prompt_end,
            bits_per_sample=bits,
            temperature=0.9,
            seed=7,
            command=f"python sample.py --ckpt_path {'long' * 20}.ckpt --prompt '{name}' --seed 7",
            details={"top_p": "0.95"},
        )

    return [
        entry("unmeasured.wav", noise[: rate // 2], 0, None),
        entry('#1 50%? "long" & <b>.wav', noise, 4, 5.5),
        entry("step10_continuation.wav", loud[: 2 * rate], 1, 3.25),
        entry("nan.wav", noise[:rate], 0, float("nan")),
        entry("<img src=x onerror=alert(1)>.wav", np.tile(noise[:800], 20), 0, 1.5),
    ]
