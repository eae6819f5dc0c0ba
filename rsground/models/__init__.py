"""Models: torch from here on. Backbones, decoding, system folders, training."""
