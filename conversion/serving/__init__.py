"""The HTTP service under BentoML."""
