"""The one definition of every feature; snapshots and their labels."""
