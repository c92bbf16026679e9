"""Companies and weeks: attributes, the timeline, the period of an export, cleaning."""
