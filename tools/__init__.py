"""Scripts that made what the package ships; not needed to use it."""
