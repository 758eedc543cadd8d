"""Wav files, and bytes to change in their headers."""

import struct
from collections.abc import Callable
from pathlib import Path

import soundfile as sf
from sounds import sine

LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"a program 1.0\0"
ID3 = b"id3 " + struct.pack("<I", 4000) + b"ID3\x03" + b"\x55" * 3996
TONE = sine(1, 16_000)


def wav(path: Path, subtype: str = "PCM_16", rate: int = 16_000) -> tuple[bytes, int]:
    """A second of a tone, and where the size of its data stands."""
    sf.write(path, sine(1, rate), rate, format="WAV", subtype=subtype)
    return path.read_bytes(), path.read_bytes().index(b"data") + 4


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def put(content: bytes, at: int, form: str, value: int) -> bytes:
    return content[:at] + struct.pack(form, value) + content[at + struct.calcsize(form) :]


def aiff(length: int, tail: bytes = b"") -> Callable[[bytes], bytes]:
    return lambda content: put(content, content.index(b"SSND") + 4, ">I", length) + tail
