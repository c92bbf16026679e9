"""Removing a company from everything that was written about it."""
