"""Parameters, one frozen model per section of params.yaml."""
