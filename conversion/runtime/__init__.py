"""Errors, files, logs, progress bars and the command line."""
