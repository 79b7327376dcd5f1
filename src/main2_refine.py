"""Attributes of seismic sections, better ones from first ones: train, check and apply. See --help."""

from segwheel.cli.multitask import run

if __name__ == "__main__":
    run(2, refine=True)
