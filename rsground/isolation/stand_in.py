"""What stands in the registry for a part that lives in another interpreter."""

from __future__ import annotations

from typing import Any

from rsground.environments import find_environment
from rsground.errors import UnknownNameError


class StandIn:
    """Knows where a part lives and which options it takes; is no part itself.

    Args:
        environment: name of the environment.
        kind, part: what it is and its name there; parts of different kinds may share a name.
        code: key of its source there, so that results can tell versions apart.
        options: for the part.

    Raises:
        UnknownNameError: it does not take one of the options.
    """

    def __init__(self, environment: str, kind: str, part: str, code: str = "", **options: Any) -> None:
        self.environment, self.kind, self.part, self.code, self.options = environment, kind, part, code, options
        name = f"{part}@{environment}"
        for offer in find_environment(environment).offers():
            if (offer.spec.kind, offer.spec.name) == (kind, name) and offer.parameters is not None:
                for option in options:
                    if option not in offer.parameters:
                        raise UnknownNameError(f"option of {kind} {name!r}", option, offer.parameters)
