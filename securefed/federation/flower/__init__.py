"""Flower 1.41 as the engine: its simulation and deployment carry the same bytes between the same roles."""
