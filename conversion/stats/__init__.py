"""Arithmetic that is the same on every machine: arrays, bins, hashing, losses."""
