"""segwheel: a segmentation model that gets better every time a person corrects it."""

__version__ = "0.1.0"
