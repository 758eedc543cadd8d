"""How the threads of torch wait for each other, which is settled when torch is loaded."""

import os
from collections.abc import MutableMapping

_PASSIVE = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "3000",  # GNU's: looks before a thread sleeps; docs/log.md has why so many
    "KMP_BLOCKTIME": "0",  # LLVM's and Intel's: milliseconds
}


def wait_passively(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads that wait release their core soon, unless the user has set how they wait.

    OpenMP's own default is to spin for long. Where anything else runs, a thread then spins for one that waits for that
    very core.
    """
    if not _PASSIVE.keys() & environment.keys():
        environment.update(_PASSIVE)
