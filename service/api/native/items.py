"""Lists are answered item by item: what fails has its failure in its place."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi import Request

from service.api.failure import FailureBody, describe
from service.errors import ServiceError

T = TypeVar("T")
Body = TypeVar("Body")


def items(
    request: Request, outcomes: Sequence[T | ServiceError], show: Callable[[int, T], Body]
) -> list[Body | FailureBody]:
    """Return the body of each outcome.

    Args:
        show: makes the body of what has not failed, given its place.

    Raises:
        ServiceError: all have failed, and alike: then it is the request that fails.
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, ServiceError)]
    if failures and len(failures) == len(outcomes) and len({f.code for f in failures}) == 1:
        raise failures[0]
    return [
        FailureBody(error=describe(request, outcome))
        if isinstance(outcome, ServiceError)
        else show(i, outcome)
        for i, outcome in enumerate(outcomes)
    ]


def characters_of_failures(texts: Sequence[str], outcomes: Sequence[object]) -> int:
    """Count the characters of texts that failed."""
    pairs = zip(texts, outcomes, strict=True)
    return sum(len(text) for text, outcome in pairs if isinstance(outcome, ServiceError))
