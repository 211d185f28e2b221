"""One file a verb; each reads as its phases."""
