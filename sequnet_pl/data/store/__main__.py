"""Show a store: `python -m sequnet_pl.data.store info|list|verify FOLDER`; `list` alone lists the stores."""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from sequnet_pl.audio.decode import UnavailableError
from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.cli.main import exit_main
from sequnet_pl.data.store import Recording, fingerprint, open_split
from sequnet_pl.data.store.encode import identity
from sequnet_pl.data.store.index import SPLITS, Index, opened_index, read_index
from sequnet_pl.errors import UserError
from sequnet_pl.printing import printable

PROGRAM = "python -m sequnet_pl.data.store"

_CHUNK = 1 << 20
_MOST_CHUNKS = 128  # of which the entropy is estimated


def main(arguments: list[str]) -> int:
    """Run the command; return its exit status, 1 for a damaged store. Raise UserError where it cannot be read."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    info = commands.add_parser("info", help="hours of each split, options, unused space and the entropy of the codes")
    listing = commands.add_parser("list", help="every recording with its levels, and why files were skipped")
    verify = commands.add_parser(
        "verify", help="check codes against their hashes, and whether audio files have changed"
    )
    for each in (info, verify):
        each.add_argument("folder", type=Path, help="folder of the store")
    listing.add_argument("folder", type=Path, nargs="?", help="folder of the store; without one, all stores")
    listing.add_argument("--data_dir", type=Path, default=Path("data"), help="where stores are made (data)")
    options = parser.parse_args(arguments)
    # A screen folds long paths; in a file or a pipe every row is one line, for grep.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    if options.folder is None:
        return _stores(console, options.data_dir / "codes")
    command = {"info": _info, "list": _list, "verify": _verify}[options.command]
    return command(console, options.folder, opened_index(options.folder))


def _stores(console: Console, root: Path) -> int:
    table = _table("store", "rate", *SPLITS, "MB on disk", title=f"stores in {_shown(root)}, hours of each split")
    for folder in sorted(root.glob("*/")):
        try:
            index = read_index(folder)
        except UserError as error:
            table.add_row(_shown(folder), _shown(error))
            continue
        if index is not None:
            hours = [f"{_hours(index.splits.get(name, ())):.3f}" for name in SPLITS]
            table.add_row(_shown(folder), f"{index.options.rate} Hz", *hours, f"{index.length / 1e6:.1f}")
    if not table.row_count:
        raise UserError(f"there are no stores in {root}; say where with --data_dir, or train first")
    console.print(table)
    return 0


def _info(console: Console, folder: Path, index: Index) -> int:
    options = index.options
    loudness = "as recorded" if options.loudness is None else f"{options.loudness:g} LUFS"
    silence = "kept" if options.skip_silence is None else f"cut down to {options.skip_silence:g} s"
    console.print(f"{options.rate} Hz, channel {options.channel}, loudness {loudness}, digital silence {silence}")
    console.print(f"fingerprint {fingerprint(folder)}, skipped files {len(index.skipped)}")
    advice = "; delete the folder to have it made again without" if index.unused else ""
    console.print(f"{index.length / 1e6:.1f} MB on disk, {index.unused / 1e6:.1f} MB of them unused{advice}")
    table = _table("split", "recordings", "hours", "clipped", "silent")
    for name, recordings in index.splits.items():
        codes = max(sum(r.length for r in recordings), 1)
        clipped, silent = (sum(getattr(r, of) * r.length for r in recordings) / codes for of in ("clipped", "silent"))
        table.add_row(name, str(len(recordings)), f"{_hours(recordings):.3f}", f"{clipped:.2%}", f"{silent:.2%}")
    console.print(table)
    chunks = [(name, chunk) for name, split in index.splits.items() for r in split for chunk in _chunks(r)]
    splits = {name: open_split(folder, name) for name in index.splits}
    step = -(-len(chunks) // _MOST_CHUNKS) or 1
    counts = np.zeros(CLASSES, np.int64)
    for name, chunk in chunks[::step]:
        counts += np.bincount(splits[name].codes[chunk], minlength=CLASSES)
    frequencies = counts[counts > 0] / max(counts.sum(), 1)
    entropy = float(-(frequencies * np.log2(frequencies)).sum())
    counted = "all codes" if step == 1 else f"one chunk in {step}"
    console.print(f"codes: {len(frequencies)} of {CLASSES} occur, entropy {entropy:.2f} bits (counted: {counted})")
    return 0


def _list(console: Console, folder: Path, index: Index) -> int:
    table = _table("split", "seconds", "peak", "clipped", "silent", title=f"recordings in {_shown(folder)}")
    table.add_column("file")
    table.add_column("note")
    for name, recordings in index.splits.items():
        for r in recordings:
            levels = [f"{r.length / r.rate:.2f}", f"{r.peak:.3f}", f"{r.clipped:.2%}", f"{r.silent:.2%}"]
            table.add_row(name, *levels, _shown(r.source), _shown(r.description()))
    console.print(table)
    if index.skipped:
        skipped = Table("file", "reason", title="skipped")
        for entry in index.skipped:
            skipped.add_row(_shown(entry.source), _shown(entry.reason))
        console.print(skipped)
    return 0


def _verify(console: Console, folder: Path, index: Index) -> int:
    damaged = count = 0
    for name in index.splits:
        split = open_split(folder, name, unsplit=True)
        count += len(split.recordings)
        for recording in split.recordings:
            digest = hashlib.sha256()
            for chunk in _chunks(recording):
                digest.update(split.codes[chunk].tobytes())
            if digest.hexdigest() != recording.codes_sha256:
                damaged += 1
                console.print(f"damaged: the codes of {_shown(recording.source)} ({name})")
            if change := _change(recording):
                console.print(f"{change}: {_shown(recording.source)} ({name})")
    if damaged:
        console.print(f"{damaged} of {count} recordings are damaged; delete {_shown(folder)}, and make it again")
        return 1
    console.print(f"all {count} recordings are whole")
    return 0


def _change(recording: Recording) -> str:
    """Return what has become of an audio file since it was stored; an empty text where it is the same."""
    try:
        is_same = identity(Path(recording.source)) == (recording.size, recording.mtime_ns)
    except UnavailableError:
        return "the audio file is gone"
    return "" if is_same else "the audio file has changed"


def _hours(recordings: Sequence[Recording]) -> float:
    return sum(r.length / r.rate for r in recordings) / 3600


def _chunks(recording: Recording) -> Iterator[slice]:
    end = recording.offset + recording.length
    for start in range(recording.offset, end, _CHUNK):
        yield slice(start, min(start + _CHUNK, end))


def _table(name: str, *numbers: str, title: str | None = None) -> Table:
    return Table(name, *(Column(number, justify="right") for number in numbers), title=title)


def _shown(text: object) -> str:
    """Names may hold brackets that rich takes for markup."""
    return escape(printable(text))


if __name__ == "__main__":
    exit_main(PROGRAM, main, sys.argv[1:])
