"""Generated samples whose labels are exact."""
