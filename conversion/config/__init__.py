"""params.yaml and the data contract as strict, frozen values."""
