"""Two processes that train together on one machine."""

from __future__ import annotations

import os
import subprocess
import sys


def in_two_processes(*command: str) -> str:
    """Run a script or ``-m module`` with its arguments under torchrun, and answer what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-9000:]
    return done.stdout
