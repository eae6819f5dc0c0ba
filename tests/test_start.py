"""Nothing heavy at start: sets of modules, not seconds, so that the test never flakes."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "torch", "transformers", "PIL", "shapely", "pycocotools", "cv2", "jinja2", "matplotlib", "rich"}


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import rsground", set()),
        ("from rsground.cli import main; main(['--help'])", set()),
        ("from rsground.cli import main; main(['list'])", {"rich"}),
        ("from rsground.cli import main; main(['list', 'heads', '--json'])", set()),
        ("from rsground.cli import main; main(['bench', '--help'])", set()),
    ],
    ids=["import", "help", "list", "list-json", "bench-help"],
)
def test_start_imports_nothing_heavy(code: str, allowed: set[str]) -> None:
    program = (
        "import sys\n"
        f"try:\n    {code}\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', *sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rsplit("LOADED", 1)[1].split())
    assert loaded <= allowed, f"{code} pulls {sorted(loaded - allowed)}"


def test_exports_match_their_type_checking_mirror() -> None:
    import ast
    from pathlib import Path

    import rsground

    tree = ast.parse(Path(rsground.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    mirror = {
        alias.asname: str(node.module).removeprefix("rsground.")
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert mirror == rsground._EXPORTS
    for name in rsground.__all__:
        assert getattr(rsground, name) is not None


def test_core_never_imports_torch() -> None:
    """Outside rsground.models nothing names torch at import time, so the core runs in any plugin's environment."""
    import ast
    from pathlib import Path

    import rsground

    root = Path(rsground.__file__).parent
    offenders = []
    for path in root.rglob("*.py"):
        if path.relative_to(root).parts[0] == "models":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            offenders += [f"{path}: {name}" for name in names if name.split(".")[0] in {"torch", "transformers"}]
    assert not offenders
