"""A folder of short recordings; a web server with audio of several types, and a way to download from it."""

import subprocess
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile as sf
from download_server import KINDS, QUICK, Server
from recordings import noise_16k
from rich.console import Console

from sequnet_pl.data.download import Options, Result, download
from sequnet_pl.data.download.items import item


@pytest.fixture
def five(tmp_path: Path) -> list[Path]:
    return [noise_16k(tmp_path / f"music/{number}.wav", 0.3 - 0.02 * number, number) for number in range(5)]


@pytest.fixture(scope="session")
def audio(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Five seconds of a tone by file type; some 50 kB each."""
    folder = tmp_path_factory.mktemp("audio")
    sf.write(folder / "a.wav", 0.3 * np.sin(np.arange(48_000 * 5) * 0.05), 48_000)
    for kind in KINDS:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", folder / "a.wav", folder / f"a.{kind}"]
        subprocess.run(command, check=True)
    return {kind: (folder / f"a.{kind}").read_bytes() for kind in KINDS}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    started = Server({})
    yield started
    started.stop()


@pytest.fixture
def fetch(server: Server, tmp_path: Path) -> Callable[..., Result]:
    """Download the pages of these paths into tmp_path/out."""

    def run(*paths: str, options: Options = QUICK) -> Result:
        return download([item(server.url(path)) for path in paths], tmp_path / "out", options, Console(file=StringIO()))

    return run
