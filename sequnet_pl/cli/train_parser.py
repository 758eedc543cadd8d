"""The parser of train.py."""

from pytorch_lightning.cli import LightningArgumentParser

from sequnet_pl.cli import flags
from sequnet_pl.cli.one_line import OneLineErrors


class TrainParser(OneLineErrors, LightningArgumentParser):
    """LightningCLI's parser, which knows the short names."""

    def called(self, name: str) -> str:
        """See OneLineErrors."""
        return flags.typed(name)

    def flags(self) -> list[str]:
        """See OneLineErrors."""
        return [*flags.SHORT, *flags.SPECIAL, *super().flags()]

    def meant_setting(self, name: str) -> str:
        """See OneLineErrors."""
        return f"; in a config it is {flags.SHORT[name]}" if name in flags.SHORT else super().meant_setting(name)
