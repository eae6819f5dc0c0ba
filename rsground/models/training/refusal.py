"""Samples that nothing can be learned from: why each is passed over, and whether they are too many."""

from __future__ import annotations

from dataclasses import dataclass

from rsground.errors import ContractError, DataError, MissingExtraError
from rsground.models.devices import is_out_of_memory
from rsground.pipeline import describe

_TRIED, _SHARE = 256, 0.6
"""Of so many tries and more no larger share may be bad: of many samples, half need not be seen before that is clear."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A sample that nothing can be learned from.

    Attributes:
        sample: its id.
        reason: in a line.
    """

    sample: str
    reason: str


class Tally:
    """Counts what is tried of a number of samples.

    Args:
        samples: how many there are.
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self._tried = self._bad = 0
        self._refused: dict[str, Refusal] = {}

    def good(self) -> None:
        """One can be learned from."""
        self._tried += 1

    def bad(self, sample: str, error: Exception) -> Refusal:
        """Why one cannot.

        Raises:
            DataError: more than half of the samples are no good.
            Exception: the error, where the sample is not to blame.
        """
        if isinstance(error, ContractError | MissingExtraError) or is_out_of_memory(error):
            raise error
        refusal = Refusal(sample, describe(error))
        self._tried, self._bad = self._tried + 1, self._bad + 1
        self._refused.setdefault(sample, refusal)
        many = 2 * len(self._refused) > self.samples
        if many or (self._tried >= _TRIED and self._bad > _SHARE * self._tried):
            told = "; ".join(f"sample {each.sample!r}: {each.reason}" for each in [*self._refused.values()][:3])
            what = f"{len(self._refused)} of {self.samples} samples" if many else f"{self._bad} of {self._tried} tries"
            raise DataError(f"most of the data cannot be learned from, {what}, such as {told}")
        return refusal
