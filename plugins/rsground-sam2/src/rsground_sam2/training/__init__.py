"""Training a small SAM 2 from nothing on generated scenes; ``python -m rsground_sam2.training --help``."""
