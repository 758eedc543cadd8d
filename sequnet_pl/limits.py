"""Types of options that are numbers with a limit; the command line checks it."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a type checker reads them as int and float
    ClosedUnitInterval = NonNegativeFloat = PositiveFloat = float
    NonNegativeInt = PositiveInt = int
else:
    from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, PositiveInt, restricted_number_type

    NonNegativeFloat = restricted_number_type("number from 0", float, [(">=", 0), ("<", math.inf)])
    PositiveFloat = restricted_number_type("number above 0", float, [(">", 0), ("<", math.inf)])

__all__ = ["ClosedUnitInterval", "NonNegativeFloat", "NonNegativeInt", "PositiveFloat", "PositiveInt"]
