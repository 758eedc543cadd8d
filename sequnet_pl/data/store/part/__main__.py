"""A process that makes audio files parts of a store: `python -m sequnet_pl.data.store.part PARTS OPTIONS`.

It reads one job a line (JSON) and answers each with a line. It imports neither torch nor librosa, which would cost more
memory than all that it does; a plain program, because a process of multiprocessing imports its parent's main module.
"""

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from sequnet_pl.data.store.index import Options
from sequnet_pl.data.store.part import answer
from sequnet_pl.processes import end_with_parent


def main() -> None:
    """Answer jobs until there are no more."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave through the clean-up of unfinished files
    end_with_parent(lambda: os.killpg(0, signal.SIGKILL))  # with ffmpeg; what is unfinished goes with the next update
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # decoders in C comment on every odd header
    parts, options = Path(sys.argv[1]), Options(**json.loads(sys.argv[2]))
    for line in sys.stdin:
        job = json.loads(line)
        done = answer(Path(job["path"]), parts, options, job["known"])
        sys.stdout.write(json.dumps(asdict(done)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
