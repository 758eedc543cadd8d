"""Reads what W&B keeps of an offline run: records in the frames of LevelDB's log format."""

import json
import struct
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path):
    """All records of a `.wandb` file, in order."""
    data = Path(path).read_bytes()
    assert data[:4] == b":W&B"
    found, parts, place = [], b"", 7
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:  # no room for a header: the rest of the block is empty
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        if not kind:
            break
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            record = Record()
            record.ParseFromString(parts)
            found.append(record)
            parts = b""
    return found


def _items(items):
    """The values by their names; what belongs to one medium is one dictionary."""
    found = {}
    for item in items:
        *outer, name = item.nested_key or [item.key]
        place = found
        for key in outer:
            place = place.setdefault(key, {})
        place[name] = json.loads(item.value_json)
    return found


class OfflineRun:
    """An offline run's folder: its config, history rows, summary, metric definitions, artifacts and media files."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (path,) = self.folder.glob("*.wandb")
        self.config, self.summary, self.rows, self.metrics, self.artifacts = {}, {}, [], {}, []
        for record in records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
                self.config |= _items(record.run.config.update)
            elif kind == "config":
                self.config |= _items(record.config.update)
            elif kind == "history":
                self.rows.append(_items(record.history.item))
            elif kind == "summary":
                self.summary |= _items(record.summary.update)
            elif kind == "metric":
                self.metrics[record.metric.name or record.metric.glob_name] = record.metric
            elif kind == "artifact":
                self.artifacts.append(record.artifact)

    def logged(self, name):
        """The values of a metric, with its step, in the rows that have it."""
        return [(row["trainer/global_step"], row[name]) for row in self.rows if name in row]

    def file(self, medium):
        """The file of an image or a sound, which must be there."""
        path = self.folder / "files" / medium["path"]
        assert path.stat().st_size > 100
        return path
