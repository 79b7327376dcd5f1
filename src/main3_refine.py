"""Attributes of seismic volumes, better ones from first ones: train, check and apply. See --help."""

from segwheel.cli.multitask import run

if __name__ == "__main__":
    run(3, refine=True)
