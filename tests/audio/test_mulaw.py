import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sequnet_pl.audio import mulaw

FLOATS = arrays(np.float64, st.integers(1, 50), elements=st.floats(-3, 3))


def test_silence_is_the_code_of_zero():
    assert mulaw.encode(np.zeros(3, np.float32)).tolist() == [mulaw.SILENCE] * 3 == [128] * 3


def test_every_code_comes_back_from_its_own_sample():
    codes = np.arange(mulaw.CLASSES, dtype=np.uint8)
    assert np.array_equal(mulaw.encode(mulaw.decode(codes)), codes)


@given(FLOATS)
def test_codes_keep_the_order_of_samples_and_clip_what_is_beyond_full_scale(samples: np.ndarray):
    codes = mulaw.encode(np.sort(samples)).astype(int)
    assert np.all(np.diff(codes) >= 0)
    assert np.array_equal(mulaw.encode(samples), mulaw.encode(np.clip(samples, -1, 1)))


@given(FLOATS)
def test_the_error_is_at_most_a_step_of_the_code(samples: np.ndarray):
    clipped = np.clip(samples, -1, 1)
    error = np.abs(mulaw.decode(mulaw.encode(samples)) - clipped)
    assert np.all(error <= 1e-4 + 0.0221 * (np.abs(clipped) + 1 / 255))  # half a step is ln(256) / 255 / 2 of it
