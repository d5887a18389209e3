"""securefed: privacy-hardened federated learning of CLIP adapters."""
