"""Who may use a device now: many together, or one alone while it measures. Bookkeeping only; no Ray, no clock."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple


class Claim(NamedTuple):
    """What a holder asks for.

    Attributes:
        holder: who; has at most one claim at a time.
        names: devices, all or none.
        alone: whether nobody else may hold any of them meanwhile.
    """

    holder: Hashable
    names: frozenset[str]
    alone: bool


class LeaseBook:
    """Claims in the order they came. One is granted as soon as no earlier claim, granted or waiting, conflicts with it.

    Two claims conflict when they share a device and one of them is for use alone. Because an earlier waiting claim
    counts, who wants a device alone gets it after those before, however many come later.
    """

    def __init__(self) -> None:
        self._claims: dict[Hashable, Claim] = {}
        self._granted: set[Hashable] = set()

    def ask(self, claim: Claim) -> None:
        """File a claim, for :meth:`grant` to grant. A holder's earlier claim is withdrawn."""
        self.drop(claim.holder)
        self._claims[claim.holder] = claim

    def grant(self) -> list[Hashable]:
        """Holders whose waiting claims are granted now."""
        found = []
        earlier: list[Claim] = []
        for holder, claim in self._claims.items():
            if holder not in self._granted and not any(_conflict(claim, other) for other in earlier):
                self._granted.add(holder)
                found.append(holder)
            earlier.append(claim)
        return found

    def drop(self, holder: Hashable) -> None:
        """Release or withdraw; nothing happens where there is no claim."""
        self._claims.pop(holder, None)
        self._granted.discard(holder)

    def sweep(self, is_alive: Callable[[Hashable], bool]) -> list[Hashable]:
        """Drop the claims of those who are gone, and answer who they were."""
        gone = [holder for holder in self._claims if not is_alive(holder)]
        for holder in gone:
            self.drop(holder)
        return gone

    def is_granted(self, holder: Hashable) -> bool:
        """Whether the holder may go on."""
        return holder in self._granted

    def is_known(self, holder: Hashable) -> bool:
        """Whether the holder has a claim, granted or waiting."""
        return holder in self._claims

    @property
    def is_idle(self) -> bool:
        """Whether nobody holds or waits."""
        return not self._claims

    def holders(self, name: str) -> list[Claim]:
        """Granted claims on a device."""
        return [claim for holder, claim in self._claims.items() if holder in self._granted and name in claim.names]


def claim(holder: Hashable, names: Iterable[str], *, alone: bool) -> Claim:
    """A claim on devices."""
    return Claim(holder, frozenset(names), alone)


def _conflict(one: Claim, other: Claim) -> bool:
    return (one.alone or other.alone) and not one.names.isdisjoint(other.names)
