"""A process that makes built-in recordings: `python -m sequnet_pl.data.builtin`.

It reads one job a line (JSON) and answers each with a line: what went wrong, or an empty text. A plain program, because
a process of multiprocessing imports its parent's main module.
"""

import json
import signal
import sys
from pathlib import Path

import soundfile

from sequnet_pl.atomic import replacing
from sequnet_pl.data.builtin.pieces import Piece
from sequnet_pl.data.builtin.synth import record
from sequnet_pl.errors import UserError
from sequnet_pl.processes import end_with_parent


def main() -> None:
    """Answer jobs until there are no more."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave through the clean-up of unfinished files
    end_with_parent()
    for line in sys.stdin:
        job = json.loads(line)
        path, rate = Path(job["path"]), job["rate"]
        failed = ""
        try:
            with replacing(path) as temporary, temporary.open("wb") as file:
                take = record(Piece(**job["piece"]), path.stem, rate)
                soundfile.write(file, take, rate, subtype="PCM_16", format="FLAC")
        except UserError as error:
            failed = str(error)
        sys.stdout.write(json.dumps(failed) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
