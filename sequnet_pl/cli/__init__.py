"""Command lines: names given as strings are resolved here."""
