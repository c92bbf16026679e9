"""MLflow: runs, the outbox, the model registry."""
