"""Names that no terminal, log or text file can hold are escaped, and end nothing."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sequnet_pl import atomic
from sequnet_pl.printing import LineFormatter, printable

LATIN_1 = os.fsdecode(b"caf\xe9.wav")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.wav", "plain name.wav"),
        ("Käse 音楽\u3000🎹.wav", "Käse 音楽\u3000🎹.wav"),
        (LATIN_1, r"caf\udce9.wav"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u2028b\x85", r"a\u2028b\x85"),
        (Path(LATIN_1), r"caf\udce9.wav"),
    ],
)
def test_printable(name: object, shown: str) -> None:
    assert printable(name) == shown
    shown.encode()


def test_logged_names_are_printable_and_numbers_keep_their_formats() -> None:
    def formatted(message: str, *arguments: object) -> str:
        return LineFormatter().format(logging.LogRecord("x", logging.WARNING, "", 0, message, arguments, None))

    assert formatted("%s: %d, %.1f\nand %s", LATIN_1, 3, 0.25, Path("a\nb")) == "caf\\udce9.wav: 3, 0.2\nand a\\nb"
    assert formatted("%d of %.1f s", np.int64(3), np.float32(0.25)) == "3 of 0.2 s"
    assert formatted("100 %") == "100 %"
    assert formatted("%(name)s", {"name": "by name"}) == "by name"


def test_text_files_take_any_name(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.txt", LATIN_1)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == r"caf\udce9.wav"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_commands_print_what_their_terminal_lacks(encoding: str) -> None:
    code = (
        "import logging, os, sys; from sequnet_pl.cli.main import run_main; from sequnet_pl.errors import UserError\n"
        "def command(argv):\n"
        "    name = os.fsdecode(b'caf\\xe9 \\xe2\\x94\\x81.wav')\n"
        "    print(name, flush=True); logging.warning('%s', name); raise UserError(name)\n"
        "sys.exit(run_main('name', command, []))"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=60)
    bar = "━" if encoding == "utf-8" else r"\u2501"
    assert done.returncode == 1
    assert done.stdout.decode(encoding) == f"caf\\udce9 {bar}.wav\n"
    assert done.stderr.decode(encoding) == f"caf\\udce9 {bar}.wav\nname: error: caf\\udce9 {bar}.wav\n"
