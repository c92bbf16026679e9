"""Tools for working on the project, which nothing of it imports."""
