"""Everything that needs torch: networks, losses, training and tiled inference."""
