"""The one place that knows argv: names given as strings end here."""
