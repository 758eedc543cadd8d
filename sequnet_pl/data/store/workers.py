"""Decoding processes, one a core: audio files out, what became of them back."""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO

import sequnet_pl
from sequnet_pl.data.store.index import Options
from sequnet_pl.data.store.part import Answer, Part

_GRACE = 2.0  # seconds to remove an unfinished part in
_ROOT = str(Path(sequnet_pl.__file__).parent.parent)


@dataclass(frozen=True)
class Job:
    """An audio file to decode, unless its content (sha256) is among the `known`."""

    path: str
    size: int = 0
    known: tuple[str, ...] = ()
    again: bool = False
    """Whether it is stored, by a former revision of the decoders: decoded only where that did not read it whole."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_all(jobs: Sequence[Job], parts: Path, options: Options, count: int) -> Generator[tuple[Job, Answer]]:
    """Yield every job with its answer as they come, from at most `count` processes at a time.

    A process that dies (killed for its memory, a crash in a decoder) costs the one file that it was at. When the
    caller stops early, Ctrl-C included, the processes are ended and unfinished parts go; finished ones stay.
    """
    waiting = deque(jobs)
    busy: dict[subprocess.Popen[str], Job] = {}
    with DefaultSelector() as selector:
        try:
            while waiting or busy:
                while waiting and len(busy) < count:
                    process = _start(parts, options)
                    selector.register(_pipe(process), EVENT_READ, process)
                    busy[process] = _send(process, waiting.popleft())
                for key, _ in selector.select():
                    process: subprocess.Popen[str] = key.data
                    job = busy.pop(process)
                    line = _pipe(process).readline()
                    if line and waiting:
                        busy[process] = _send(process, waiting.popleft())
                    else:
                        selector.unregister(_pipe(process))
                        _end(process)
                    yield job, _answer(line, process)
        finally:
            for process in busy:
                process.terminate()
            for process in busy:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE)
                with suppress(ProcessLookupError):  # in C it hears of nothing while ffmpeg is silent
                    os.killpg(process.pid, signal.SIGKILL)
                _end(process)


def _start(parts: Path, options: Options) -> subprocess.Popen[str]:
    paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", "sequnet_pl.data.store.part", str(parts), json.dumps(asdict(options))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        # A Ctrl-C reaches the parent alone: an ffmpeg that got it too would end early, as if its file did.
        start_new_session=True,
    )


def _pipe(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def _send(process: subprocess.Popen[str], job: Job) -> Job:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it died, which reading its answer will show
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
    return job


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()
    _pipe(process).close()


def _answer(line: str, process: subprocess.Popen[str]) -> Answer:
    if not line:
        return Answer(skipped=f"its decoding process died (status {process.returncode})")
    content = json.loads(line)
    part = content.pop("part")
    return Answer(**content, part=part and Part(**part))
