"""Where special tokens stand in a generation, and their hidden states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rsground.errors import ContractError
from rsground.types import Generation

if TYPE_CHECKING:
    from torch import Tensor

    from rsground.contracts import TokenHead


def positions(token_ids: Sequence[int] | None, token_id: int) -> tuple[int, ...]:
    """Places of a token in a sequence, in order; none where there are no ids."""
    return tuple(place for place, found in enumerate(token_ids or ()) if int(found) == token_id)


def ids_of(tokenizer: Any, tokens: Iterable[str]) -> dict[str, int]:
    """The id of each special token.

    Args:
        tokenizer: with ``convert_tokens_to_ids``, as transformers' tokenizers have.
        tokens: texts that must each be one token.

    Raises:
        ContractError: the tokenizer does not know one as a token of its own.
    """
    unknown = getattr(tokenizer, "unk_token_id", None)
    known = {token: tokenizer.convert_tokens_to_ids(token) for token in tokens}
    absent = [token for token, found in known.items() if found is None or (found == unknown and found is not None)]
    if absent:
        raise ContractError(
            f"the tokenizer has no token for {', '.join(absent)}: add the head's special tokens to the backbone first "
            f"(backbone.add_tokens), or use a system whose tokenizer holds them"
        )
    return {token: int(found) for token, found in known.items()}


def states_at(generation: Generation, token_id: int) -> Tensor | None:
    """Hidden states ``(K, D)`` at the K places of a token, row k the k-th; None where none were captured.

    ``generation.hidden`` row t is the last-layer state where answer token t was the input. A state for the last
    token may be missing (upstream loops never feed it): that place is then left out.
    """
    if generation.hidden is None or generation.token_ids is None:
        return None
    rows = [place for place in positions(generation.token_ids, token_id) if place < len(generation.hidden)]
    found: Tensor = generation.hidden[rows]
    return found


def rows_read(head: TokenHead, ids: Tensor) -> Tensor:
    """Which of an answer's tokens ``(T,)`` a head reads: all (``head.states == "answer"``), or those of its token.

    The token is ``head.state_token``, else the first of ``head.special_tokens``; its id is in ``head.token_ids``.
    """
    if getattr(head, "states", "") == "answer":
        return ids >= 0
    token = getattr(head, "state_token", None) or head.special_tokens[0]
    return ids == head.token_ids[token]  # type: ignore[attr-defined,no-any-return]
