"""The recordings that a network learnt from, or others, opened to sample from or to compare with."""

from typing import Any

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.data.store.index import read_index
from sequnet_pl.errors import UserError
from sequnet_pl.training.trained import Trained


def open_recordings(audio_dir: str | None, trained: Trained) -> AudioDataModule:
    """Recordings with their splits open: of a folder, or those of the training as they were stored then.

    UserError where they are not there; a few clips are no reason to download hundreds of hours.
    """
    settings: dict[str, Any] = dict(trained.data)
    if audio_dir:
        settings |= dict.fromkeys(settings.keys() & {"audio_list", "recordings"}) | {"audio_dir": audio_dir}
    data = AudioDataModule(**settings)
    local = audio_dir or settings.get("audio_dir") or settings.get("audio_list")
    stored = read_index(data.store) is not None
    if not stored and not local and settings.get("dataset") != "builtin":
        raise UserError(
            f"the recordings of the training are not in {data.store}; say where some are with --audio_dir FOLDER"
        )
    if audio_dir or not stored:
        try:
            data.prepare_data()
        except UserError as error:
            raise UserError(f"{error} (--audio_dir says where recordings are)") from error
    data.setup("predict")
    return data
