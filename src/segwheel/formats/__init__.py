"""Bytes to arrays and back: one module per file format. No format knows what the data mean."""
