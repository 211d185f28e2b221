"""The charts, held to the profiles by the real helm."""
