"""What an entry is in a comparison: a system that competes, or a ruler that systems are held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """A ruler has a score and no rank: nobody can use it for anything."""

    SYSTEM = "system"
    CEILING = "ceiling"  # it is given the right answer, and tells what its form allows
    BLIND = "blind"  # it sees nothing of the image, and tells what words and habit are worth


ORACLE, BLIND, BLINDFOLD = "oracle", "blind", "blindfold"


def role_of(spec: Mapping[str, Any]) -> Role:
    """The role of a system by its parts; where they live does not matter.

    Args:
        spec: as :meth:`rsground.bench.suite.Entry.to_json` has it; what it does not hold is no ruler's part.
    """
    (backbone,) = _names([spec.get("backbone")])
    if backbone == ORACLE:
        return Role.CEILING
    return Role.BLIND if backbone == BLIND or BLINDFOLD in _names(spec.get("preprocess") or ()) else Role.SYSTEM


def rulers(roles: Mapping[str, Role]) -> dict[str, Role]:
    """Label → role of what stands beside the systems; nothing does where there is no system: rulers then compete."""
    competing = Role.SYSTEM in roles.values()
    return {label: role for label, role in roles.items() if competing and role is not Role.SYSTEM}


def _names(parts: Any) -> Iterator[str]:
    for part in parts:
        name = part.get("name", "") if isinstance(part, Mapping) else part
        yield str(name).partition("@")[0]
