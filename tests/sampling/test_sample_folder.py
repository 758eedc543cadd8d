"""Folders of clips and of kernels: used by two processes at once, of many files, and not writable."""

import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_run import codes, made

from sequnet_pl.sampling.engines import build
from sequnet_pl.sampling.progress import SampleProgress


def test_two_samplers_in_one_folder_at_once_lose_no_clip(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one starts and ends while the first one draws; their clips would have the same name."""
    advance, started = SampleProgress.add_block, []

    def meanwhile(self: SampleProgress, block: Any) -> None:
        if not started:
            started.append(True)
            run("--top_k", 3, "--batch_size", 2)
        advance(self, block)

    monkeypatch.setattr(SampleProgress, "add_block", meanwhile)
    run("--batch_size", 2)
    clips = made()
    assert sorted(clip["top_k"] for clip in clips) == [3, 3, 256, 256]
    wavs = {clip["wav"] for clip in clips}
    assert wavs == {path.name for path in Path("generated").glob("*.wav")} and len(wavs) == 4
    assert all(len(codes(Path("generated", clip["wav"]))) == 200 for clip in clips)
    assert all(len(np.unique(codes(Path("generated", clip["wav"])))) > 3 or clip["top_k"] == 3 for clip in clips)
    page = Path("generated/index.html").read_text()
    assert all(name in page for name in wavs)
    run("--batch_size", 2)  # makes the same clips again
    assert {clip["wav"] for clip in made()} == wavs


def test_a_batch_may_have_more_clips_than_a_process_may_open_files(run) -> None:
    run("--batch_size", 2)  # opens what every run needs
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free
    os.close(opened)
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 20, limits[1]))
    try:
        run("--batch_size", opened + 40, "--gen_samples", 3, "--seed", 1, short=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len([clip for clip in made() if clip["seed"] == 1 and clip["complete"]]) == opened + 40


@pytest.mark.parametrize(("variable", "folder"), [("XDG_CACHE_HOME", "file"), ("HOME", "/proc")])
def test_kernels_are_compiled_in_a_temporary_folder_if_no_other_can_be_written(
    variable: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / folder))
    with build.compiled("kernel.so", lambda target: target.write_text("compiled")) as path:
        assert path.name == "kernel.so" and path.read_text() == "compiled"
    assert not path.exists()
    assert (tmp_path / "file").read_bytes() == b""
