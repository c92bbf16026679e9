"""What a user asks for and DVC does not rerun, as `python -m commands.NAME`."""
