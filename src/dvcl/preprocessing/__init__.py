"""From raw volumes to prepared arrays: orientation, spacing and intensity, deterministic."""
