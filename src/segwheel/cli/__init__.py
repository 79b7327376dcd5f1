"""The command line: the typer application and nothing else."""
