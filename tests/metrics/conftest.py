"""Lets the tests of this folder import the samples they share; laws take the time they need."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("unhurried", deadline=None, max_examples=50)
settings.load_profile("unhurried")
