"""One standalone script for each stage of dvc.yaml; run as ``python -m stages.NAME``."""
