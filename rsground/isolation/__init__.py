"""Isolated environments: plugins in virtual environments of their own, asked through worker processes."""
