"""GeoPixel: every [SEG] a language model writes becomes a mask. Shabbir et al., ICML 2025, arXiv 2501.13925."""
