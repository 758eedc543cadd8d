"""Pictures and self-contained pages of what the networks do."""
