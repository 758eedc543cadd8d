"""The recordings that a network learnt from, or others, opened to sample from or to compare with."""

from dataclasses import replace

from sequnet_pl.data import summary
from sequnet_pl.data.store.index import read_index
from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UserError
from sequnet_pl.training.trained import Trained


def open_recordings(audio_dir: str | None, trained: Trained) -> StoredRecordings:
    """Recordings with their store made: of a folder, or those of the training as they were stored then.

    UserError where they are not there; a few clips are no reason to download hundreds of hours.
    """
    data = StoredRecordings.of(trained.data)
    if audio_dir:
        data = replace(data, audio_dir=audio_dir, audio_list=None, recordings=None, builtin_takes=None)
    if data.builtin_takes and read_index(data.folder) is None:  # of train, which nothing is sampled from
        data = replace(data, builtin_takes=None)
    stored = read_index(data.folder) is not None
    made = data.dataset == "builtin" and not data.recordings
    if not (stored or data.audio_dir or data.audio_list or made):
        raise UserError(
            f"the recordings of the training are not in {data.folder}; say where some are with --audio_dir FOLDER"
        )
    if audio_dir or not stored:
        try:
            summary.tell(data.make(), data.folder)
        except UserError as error:
            raise UserError(f"{error} (--audio_dir says where recordings are)") from error
    return data
