"""Companies and weeks: firmographics, the timeline, the period of an export, cleaning."""
