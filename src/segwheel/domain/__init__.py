"""The nouns of segmentation and seismic interpretation, on numpy arrays of any dimension."""
