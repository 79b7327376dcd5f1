"""Attributes of seismic volumes, from a seismic image: train, check and apply. See --help."""

from segwheel.cli.multitask import run

if __name__ == "__main__":
    run(3, refine=False)
