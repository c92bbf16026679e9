"""The sample export and the truth behind it."""
