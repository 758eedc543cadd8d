"""Decoding processes, one a core: audio files out, what became of them back."""

import json
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sequnet_pl.data.store.index import Options
from sequnet_pl.data.store.part import Answer, Part
from sequnet_pl.processes import answers


@dataclass(frozen=True)
class Job:
    """An audio file to decode, unless its content (sha256) is among the `known`."""

    path: str
    size: int = 0
    known: tuple[str, ...] = ()


def decode_all(jobs: Sequence[Job], parts: Path, options: Options, count: int) -> Generator[tuple[Job, Answer]]:
    """Yield every job with its answer as they come, from at most `count` processes at a time.

    A process that dies costs the one file that it was at. When the caller stops early, Ctrl-C included, the processes
    are ended and unfinished parts go; finished ones stay.
    """
    lines = [json.dumps(asdict(job)) for job in jobs]
    arguments = [str(parts), json.dumps(asdict(options))]
    try:
        with closing(answers("sequnet_pl.data.store.part", arguments, lines, count)) as answered:
            for place, line, status in answered:
                yield jobs[place], _answer(line, status)
    finally:
        for path in parts.glob(".*"):  # of processes that were killed, or ended amid their own clean-up
            with suppress(OSError):
                path.unlink()


def _answer(line: str, status: int | None) -> Answer:
    if not line:
        return Answer(skipped=f"its decoding process died (status {status})")
    content = json.loads(line)
    part = content.pop("part")
    return Answer(**content, part=part and Part(**part))
