"""The frozen CLIP model and the small trainable parts on top of it."""
