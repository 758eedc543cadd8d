"""Show a store: `python -m sequnet_pl.data.store info|list|verify FOLDER`; `list` alone lists the stores."""

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sequnet_pl.cli.main import exit_main
from sequnet_pl.data.store import Recording, Split, fingerprint
from sequnet_pl.data.store.encode import identity
from sequnet_pl.data.store.index import CODES, SPLITS, opened_index, read_index
from sequnet_pl.errors import UserError
from sequnet_pl.printing import printable

PROGRAM = "python -m sequnet_pl.data.store"
_HELP = """info: options, unused space and hours of each split; list: every recording, and why files were skipped;
verify: check codes against their hashes, and whether audio files have changed"""


def main(arguments: list[str]) -> int:
    """Run the command; return its exit status, 1 for a damaged store. Raise UserError where it cannot be read."""
    commands = {"info": _info, "list": _list, "verify": _verify}
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("command", choices=commands, help=_HELP)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of the store; `list` without one lists all stores")
    parser.add_argument("--data_dir", type=Path, default=Path("data"), help="where stores are made (data)")
    options = parser.parse_args(arguments)
    if options.folder is not None:
        return commands[options.command](options.folder)
    if options.command != "list":
        parser.error(f"{options.command} needs the folder of a store")
    return _list_stores(options.data_dir / "codes")


def _list_stores(root: Path) -> int:
    rows: list[list[object]] = []
    for folder in sorted(root.glob("*/")):
        try:
            if index := read_index(folder):
                hours = [_hours(index.splits.get(name, ())) for name in SPLITS]
                rows.append([folder, f"{index.options.rate} Hz", *hours, f"{index.length / 1e6:.1f}"])
        except UserError as error:
            rows.append([folder, error])
    if not rows:
        raise UserError(f"there are no stores in {root}; name their folder with --data_dir, or train first")
    _show_table(["store", "rate", *(f"hours of {name}" for name in SPLITS), "MB on disk"], rows)
    return 0


def _info(folder: Path) -> int:
    index = opened_index(folder)
    _show(", ".join(f"{name} {value}" for name, value in asdict(index.options).items() if value is not None))
    _show(f"fingerprint {fingerprint(folder)}, skipped files {len(index.skipped)}")
    _show(f"{index.length / 1e6:.1f} MB on disk, {index.unused / 1e6:.1f} MB of them unused")
    _show_table(["split", "recordings", "hours"], [[name, len(r), _hours(r)] for name, r in index.splits.items()])
    return 0


def _list(folder: Path) -> int:
    index, rows = opened_index(folder), list[list[object]]()
    for name, recordings in index.splits.items():
        for r in recordings:
            levels = [f"{r.length / r.rate:.2f}", f"{r.peak:.3f}", f"{r.clipped:.2%}", f"{r.silent:.2%}"]
            rows.append([name, *levels, r.source, r.description()])
    rows += [["skipped", *[""] * 4, entry.source, entry.reason] for entry in index.skipped]
    _show_table(["split", "seconds", "peak", "clipped", "silent", "file", "note"], rows)
    return 0


def _verify(folder: Path) -> int:
    index = opened_index(folder)
    recordings, codes, damaged = index.recordings.values(), Split(folder / CODES, index.length, ()).codes, 0
    for r in recordings:
        if hashlib.sha256(codes[r.offset : r.offset + r.length].data).hexdigest() != r.codes_sha256:
            damaged += 1
            _show(f"damaged: the codes of {printable(r.source)}")
        if identity(Path(r.source)) != (r.size, r.mtime_ns):
            _show(f"the audio file has changed or is gone: {printable(r.source)}")
    if damaged:
        _show(f"{damaged} of {len(recordings)} recordings are damaged; delete {printable(folder)}, and make it again")
        return 1
    _show(f"all {len(recordings)} recordings are whole")
    return 0


def _hours(recordings: Sequence[Recording]) -> str:
    return f"{sum(r.length / r.rate for r in recordings) / 3600:.3f}"


def _show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*map(printable, row))
    _show(table)


def _show(content: str | Table) -> None:
    # A screen folds long paths; in a file or a pipe every row is one line, for grep. Names may look like markup.
    width = None if sys.stdout.isatty() else 1000
    Console(width=width, highlight=False, markup=False, emoji=False).print(content)


if __name__ == "__main__":
    exit_main(PROGRAM, main, sys.argv[1:])
