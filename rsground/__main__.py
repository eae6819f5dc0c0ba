"""``python -m rsground``."""

import sys

from rsground.cli import main

sys.exit(main())
