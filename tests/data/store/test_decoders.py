"""Stores that a former revision of the decoders made, and what is told of recordings that are not whole."""

import json
import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sequnet_pl.audio import mulaw
from sequnet_pl.data.store import Report, fingerprint, make_store, open_split
from sequnet_pl.data.summary import summary
from sequnet_pl.sampling import prompts


def noise(path: Path, seconds: float = 0.5, seed: int = 0, **options) -> Path:
    sf.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 16_000)), 16_000, **options)
    return path


def make(folder: Path, paths: list[Path], **options) -> Report:
    return make_store({"train": paths}, folder, workers=1, progress=False, **options)


@pytest.fixture
def wrapped(tmp_path: Path) -> Path:
    """A wav file that holds four times what its header says."""
    content = noise(tmp_path / "wrapped.wav", seed=1).read_bytes()
    at = content.index(b"data") + 4
    (tmp_path / "wrapped.wav").write_bytes(content[:at] + struct.pack("<I", 4_000) + content[at + 4 :])
    return tmp_path / "wrapped.wav"


def make_former(folder: Path, paths: list[Path], wrapped: Path, skipped: Path) -> None:
    """As the first revision made it: of one file the first quarter, another one skipped, and nothing on decoders."""
    make(folder, [path for path in paths if path != skipped])
    path = folder / "index.json"
    index = json.loads(path.read_text())
    del index["decoders"]
    for recording in index["splits"]["train"]["recordings"]:
        if recording["source"] == str(wrapped):
            recording["length"] = 2_000
            recording["codes_sha256"] = "0" * 64
    status = skipped.stat()
    entry = {"source": str(skipped), "reason": "why", "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    path.write_text(json.dumps(index | {"skipped": [entry]}))


def test_a_former_store_is_looked_at_again_where_it_must(
    tmp_path: Path, wrapped: Path, caplog: pytest.LogCaptureFixture
):
    good = [noise(tmp_path / f"{number}.{kind}", seed=number) for number, kind in enumerate(("wav", "flac", "ogg"), 2)]
    phone = tmp_path / "phone.wav"
    sf.write(phone, np.random.default_rng(9).uniform(-0.5, 0.5, 8_000), 8_000, subtype="GSM610")
    everything = [*good, wrapped, phone]
    make_former(tmp_path / "former", everything, wrapped, phone)
    before = fingerprint(tmp_path / "former")

    report = make(tmp_path / "former", everything)
    assert (report.made, report.skipped) == (2, ())
    assert "read 1 recordings anew, which a former version had not read whole: " + str(wrapped) in caplog.text
    make(tmp_path / "fresh", everything)
    assert fingerprint(tmp_path / "former") == fingerprint(tmp_path / "fresh") != before
    opened = open_split(tmp_path / "former", "train")
    for recording, path in zip(opened.recordings[:4], [*good, wrapped], strict=True):
        expected, _ = sf.read(path, dtype="float32") if path != wrapped else (None, None)
        if expected is not None:
            got = opened.codes[recording.offset :][: recording.length]
            assert np.array_equal(got, mulaw.encode(expected))
    assert opened.recordings[3].length == 8_000
    assert make(tmp_path / "former", everything).made == 0


def test_other_decoders_try_again_what_was_skipped_and_nothing_else(tmp_path: Path, wrapped: Path):
    (tmp_path / "text.wav").write_text("no sound")
    paths = [noise(tmp_path / "a.wav"), wrapped, tmp_path / "text.wav"]
    make(tmp_path / "store", paths)
    index = tmp_path / "store/index.json"
    content = json.loads(index.read_text())
    content["decoders"] = content["decoders"].replace("libsndfile", "libsndfile 0.1 not")
    content["skipped"][0]["reason"] = "what another decoder said"
    index.write_text(json.dumps(content))
    report = make(tmp_path / "store", paths)
    assert report.made == 0 and report.skipped[0].reason.startswith("not audio")
    assert make(tmp_path / "store", paths).skipped == report.skipped


def test_what_is_cut_off_is_told_with_its_seconds(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    content = noise(tmp_path / "cut.wav", 2.0).read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 2])
    report = make(tmp_path / "store", [tmp_path / "cut.wav", noise(tmp_path / "a.wav")])
    note = "used as far as it decodes: it ends at 1.00 s of 2.00 s, cut off"
    assert [recording.note for recording in report.recordings["train"]] == [note, ""]
    assert caplog.messages == [f"{tmp_path / 'cut.wav'}: {note}"]
    cells = [cell for column in summary(report).columns for cell in map(str, column.cells)]
    assert f"{tmp_path / 'cut.wav'}: {note}" in cells and "with a note: 1" in cells


def test_a_prompt_of_a_file_that_lies_or_is_cut_off(tmp_path: Path, wrapped: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    prompt = prompts.from_file(wrapped, 16_000, 100, 0.3, 0.1)
    assert prompt.heard == 1_600 and not caplog.messages
    wrapped.write_bytes(noise(wrapped, 2.0).read_bytes()[:32_044])
    assert prompts.from_file(wrapped, 16_000, 100, 0.5, 1.0).heard == 8_000
    assert "it ends at 1.00 s of 2.00 s, cut off" in caplog.text and "only 0.50 s long" in caplog.text


@pytest.mark.parametrize("residue", [0.0, 6e-4])
def test_channels_that_cancel_are_told_with_the_cure(tmp_path: Path, residue: float):
    left = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([left, residue - left], axis=1), 16_000, subtype="FLOAT")
    how = "all but silent" if residue else "silent throughout"
    (recording,) = make(tmp_path / "store", [path]).recordings["train"]
    assert recording.note == f"it is {how}; where its channels cancel each other, --channel left helps"
    assert recording.silent == (0.0 if residue else 1.0)
    (recording,) = make(tmp_path / "left", [path], channel="left").recordings["train"]
    assert recording.note == ""
    sf.write(path, np.full(16_000, residue / 2), 16_000, subtype="FLOAT")
    assert make(tmp_path / "mono", [path]).recordings["train"][0].note == f"it is {how}"
