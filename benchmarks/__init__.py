"""Each module prints a table, measured side by side in one run, and writes it as JSON."""
