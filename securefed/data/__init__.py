"""Images, their labels and how they are parted among clients."""
