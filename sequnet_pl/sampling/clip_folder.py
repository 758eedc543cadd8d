"""A folder of clips: which file names are free, the list of what was made, and the page to listen on."""

import fcntl
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sequnet_pl import atomic
from sequnet_pl.audio.mulaw import CLASSES
from sequnet_pl.errors import UserError
from sequnet_pl.report.clip import PageClip, write_listening_page
from sequnet_pl.report.run_folder import run_pages, run_title
from sequnet_pl.sampling.metadata import Clip, ClipMetadata, dump, load

LIST = "clips.json"
PAGE = "index.html"
ROOT = Path("generated")
"""Each call that names no folder has one of its own in it, and its page links them."""


def new_folder(name: str, root: Path = ROOT) -> Path:
    """Make the folder of a call, with the next number and a name. Raises UserError if that is impossible."""
    atomic.make_folder(root)
    while True:
        taken = [int(number) for path in root.iterdir() if (number := path.name.partition("-")[0]).isdecimal()]
        folder = root / f"{max(taken, default=0) + 1:03d}-{name}"
        try:
            folder.mkdir()
        except FileExistsError:  # by another process, a moment ago
            continue
        except OSError as error:
            raise UserError(f"cannot make the folder {folder}: {error.strerror}; choose another one") from error
        return folder


def read_list(folder: Path) -> dict[str, Clip]:
    """Return the clips of clips.json whose files are there, by file name. UserError if it cannot be read."""
    path = folder / LIST
    if not path.exists():
        return {}
    try:
        found = load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a list of clips; move it away, or choose another folder") from error
    return {clip.wav: clip for clip in found if (folder / clip.wav).is_file()}


class ClipFolder:
    """The clips in a folder, those of earlier runs too. UserError where the folder cannot be made or its list read."""

    def __init__(self, folder: Path) -> None:
        self.folder = atomic.make_folder(folder)
        self._own: dict[str, Clip] = {}
        self.clips = read_list(self.folder)

    @property
    def own(self) -> list[Clip]:
        """The clips that were added."""
        return list(self._own.values())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder, and read its list again: another process may have added clips."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            self.clips = read_list(self.folder) | self._own
            yield
        finally:
            os.close(descriptor)

    def free_path(self, metadata: ClipMetadata, samples: int) -> Path:
        """Return the wav file for a clip: that of the same clip made before, or a free name, which is reserved.

        No other clip is overwritten. A reserved file is empty until the clip is written; see `release`.
        """
        for count in itertools.count(1):
            path = self.folder / f"{metadata.stem}{f'-{count}' if count > 1 else ''}.wav"
            there = self.clips.get(path.name)
            if there and there.metadata == metadata and (there.samples == samples or not there.complete):
                return path
            with atomic.writing(path), suppress(FileExistsError):
                path.open("x").close()
                return path
        raise AssertionError

    def release(self, path: Path) -> None:
        """Remove a reserved file unless it was written."""
        with suppress(OSError):
            if not path.stat().st_size:
                path.unlink()

    def add(self, clip: Clip) -> None:
        """Add a clip that was made."""
        self.clips[clip.wav] = self._own[clip.wav] = clip

    def write_list(self) -> None:
        """Write clips.json, with what other processes added meanwhile. Raises UserError where that fails."""
        with self._locked():
            atomic.write_text(self.folder / LIST, dump(list(self.clips.values())))

    def write_page(self, run: Path | None = None) -> Path:
        """Write index.html, which links the pages of the folders in this one. Raises UserError where that fails.

        If all clips are of one run, that of the folder `run`, the page has its name and links its other pages.
        """
        path, title, links = self.folder / PAGE, "Generated clips", []
        with self._locked():
            if run and len({Path(clip.metadata.checkpoint).parent for clip in self.clips.values()}) == 1:
                title, links = run_title(run, "generated clips"), run_pages(run)
            if self.folder.resolve().parent == ROOT.resolve():
                links = [*links, ("all clips", ROOT / PAGE)]
            entries = [self._entry(clip) for clip in self.clips.values()]
            write_listening_page(path, title, entries, links, _folders(self.folder))
        return path

    def _entry(self, clip: Clip) -> PageClip:
        made = clip.metadata
        details = {"network": made.network, "step": str(made.step)}
        if made.prompt:
            details["from"] = f"{Path(made.prompt).name}, {made.prompt_end:.2f} s"
        if made.top_k < CLASSES:
            details["top k"] = str(made.top_k)
        if made.top_p < 1:
            details["top p"] = f"{made.top_p:g}"
        if clip.lead_in_samples:
            details["silence cut before"] = f"{clip.lead_in_samples / made.sample_rate:.2f} s"
        if not clip.complete:
            details["cut short"] = f"stopped after {clip.generated / made.sample_rate:.2f} s"
        label = f", label {made.label}" if made.label else ""
        return PageClip(
            name=f"{made.kind} {made.clip}",
            wav=self.folder / clip.wav,
            prompt_end=made.prompt_samples / made.sample_rate,
            bits_per_sample=clip.bits_per_sample,
            temperature=made.temperature,
            seed=made.seed,
            network=f"{made.network}, step {made.step}, weights {made.weights_sha256[:8]}{label}",
            command=clip.command,
            details=details,
        )


def _folders(root: Path) -> list[tuple[str, Path, str]]:
    """Return name, page and content of the folders that have pages, the newest first."""
    pages = {page.parent: page for page in sorted(root.glob("*/*.html"), reverse=True)}
    newest = sorted(pages, key=lambda folder: pages[folder].stat().st_mtime, reverse=True)
    return [(folder.name, pages[folder], _content(folder)) for folder in newest]


def _content(folder: Path) -> str:
    try:
        clips = list(read_list(folder).values())
    except UserError:
        clips = []
    if not clips:
        return "no clips"
    kinds = dict.fromkeys(clip.metadata.kind.replace("silence", "from silence") for clip in clips)
    networks = dict.fromkeys(f"{clip.metadata.network}, step {clip.metadata.step}" for clip in clips)
    return "; ".join([f"clips: {len(clips)}, silent: {sum(clip.silent for clip in clips)}", *kinds, *networks])
