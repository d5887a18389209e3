"""The two ends of securefed on Flower."""
