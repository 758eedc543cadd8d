"""Loudness of a signal as EBU R 128 defines it, measured by ffmpeg while the signal streams by."""

import re
import subprocess
import tempfile
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sequnet_pl.audio.decode import ffmpeg
from sequnet_pl.errors import UserError

_NOTHING = -70.0  # what the measure says where no part of the signal passes its gate


def measure(blocks: Iterable[NDArray[np.float32]], rate: int) -> tuple[float | None, float]:
    """Integrated loudness in LUFS (None: too short or too quiet to say) and peak of mono blocks (T,) at `rate` Hz."""
    command = [ffmpeg(), "-hide_banner", "-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "pipe:0"]
    command += ["-af", "ebur128=framelog=quiet", "-f", "null", "-"]
    peak = 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)
        assert process.stdin is not None
        try:
            for block in blocks:
                peak = max(peak, float(np.abs(block).max()))
                process.stdin.write(block.astype("<f4").tobytes())
            process.stdin.close()
            process.wait()
        except BrokenPipeError:
            process.wait()
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        found = re.findall(r"^\s*I:\s*(\S+) LUFS", said.read().decode(errors="replace"), re.MULTILINE)
    if process.returncode or not found:
        raise UserError(f"ffmpeg cannot measure loudness (status {process.returncode}); leave it as it is")
    loudness = float(found[-1])
    return (loudness if loudness > _NOTHING else None), peak
