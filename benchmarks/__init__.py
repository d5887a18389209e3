"""Measurements that the documents quote: ratios to a floor or a peer, taken in one run."""
