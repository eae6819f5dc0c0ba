"""What a worker process inherits: an allow-list of environment variables, and nothing that looks like a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_NAMES = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH"}
    | {"HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TORCH_HOME", "XDG_CACHE_HOME"}
    | {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF", "SYSTEMROOT"}
)
_FAMILIES = ("LC_", "CUDA_", "NVIDIA_", "ROCR_", "HIP_", "RSGROUND_")
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|AUTH|(^|_)KEY(S|_|$)|APIKEY|COOKIE", re.IGNORECASE)


def allowed(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables a worker gets.

    Those of the allow-list, and of its families (``CUDA_*``, ``RSGROUND_*`` ...) those whose name does not look like a
    secret's. ``RSGROUND_ENVS`` is set to nothing: a worker has no environments of its own.
    """
    given = os.environ if environ is None else environ
    found = {
        name: value
        for name, value in given.items()
        if (name in _NAMES or name.startswith(_FAMILIES)) and not _SECRET.search(name)
    }
    return {**found, "RSGROUND_ENVS": "", "PYTHONUNBUFFERED": "1"}
