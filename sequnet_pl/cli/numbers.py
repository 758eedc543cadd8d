"""Numbers with a limit, as types of options. A type checker reads them as int and float."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    ClosedUnitInterval = NonNegativeFloat = PositiveFloat = float
    NonNegativeInt = PositiveInt = int
else:
    from jsonargparse.typing import ClosedUnitInterval, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

__all__ = ["ClosedUnitInterval", "NonNegativeFloat", "NonNegativeInt", "PositiveFloat", "PositiveInt"]
