"""Scripts that made what the package ships, and one that guards its speed; not needed to use it."""
