"""One module per stage of dvc.yaml; each is a function of its parameters, its paths and a run to record to."""
