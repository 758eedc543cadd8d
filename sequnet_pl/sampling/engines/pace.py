"""How many threads to use, by trying: threads that wait for each other at every layer are slow where a core is busy."""

from collections.abc import Iterator
from time import perf_counter

TRIAL = 64
"""Samples of a trial."""
ROUND = 16_000
"""Samples between two trials of all numbers of threads."""


class Pace:
    """Deals a block out to numbers of threads, remembers how long each took, and takes the quickest in between.

    Only the time depends on it, never what is drawn.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}  # a sample, by number of threads
        self._since_trial = ROUND

    def pieces(self, samples: int, most: int) -> Iterator[tuple[int, int]]:
        """Numbers of samples and threads (at most `most`) for a block; each must be done before the next is asked."""
        done = 0
        if most > 1 and self._since_trial >= ROUND and samples >= 4 * TRIAL:
            self._since_trial = 0
            for threads in {1, most}:
                yield from self._timed(TRIAL, threads)
                done += TRIAL
        best = min({1, most} & self._seconds.keys(), key=self._seconds.__getitem__, default=most)
        self._since_trial += samples - done
        yield from self._timed(samples - done, best)

    def _timed(self, samples: int, threads: int) -> Iterator[tuple[int, int]]:
        begin = perf_counter()
        yield samples, threads
        self._seconds[threads] = (perf_counter() - begin) / samples
