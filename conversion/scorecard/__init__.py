"""What became of the lists that were delivered, and what calling achieved."""
