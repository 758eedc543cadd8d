"""The networks; this package does not import Lightning."""
