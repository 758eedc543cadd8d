"""The two networks; nothing here knows of Lightning."""
