"""Loudness of a signal as EBU R 128 defines it, by FFmpeg's filter, while the signal streams by."""

from collections.abc import Iterable

import av
import numpy as np
from av.error import BlockingIOError as NotReadyError
from av.error import EOFError as EndOfFileError
from av.filter import Graph
from numpy.typing import NDArray

_NOTHING = -70.0  # the filter's value where no part of the signal passes its gate


def measure(blocks: Iterable[NDArray[np.float32]], rate: int) -> tuple[float | None, float]:
    """Return the integrated loudness in LUFS and the peak of mono blocks (T,) at `rate` Hz.

    The loudness is None where the signal is too short or too quiet to measure.
    """
    graph = Graph()
    source = graph.add("abuffer", sample_rate=str(rate), sample_fmt="flt", channel_layout="mono", time_base=f"1/{rate}")
    graph.link_nodes(source, graph.add("ebur128", "metadata=1:framelog=quiet"), graph.add("abuffersink")).configure()
    loudness, peak, time = _NOTHING, 0.0, 0

    def pull() -> float:
        found = loudness
        while True:
            try:
                found = float(graph.pull().metadata.get("lavfi.r128.I", found))
            except (NotReadyError, EndOfFileError):
                return found

    for block in blocks:
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block)[None], "flt", "mono")
        frame.sample_rate, frame.pts = rate, time
        time += len(block)
        graph.push(frame)
        loudness = pull()
    graph.push(None)
    loudness = pull()
    return (loudness if loudness > _NOTHING else None), peak
