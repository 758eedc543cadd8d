"""Each module prints a table, measured side by side in one run, and writes it as JSON."""

import sequnet_pl  # noqa: F401  (before torch: it settles how threads wait)
