from collections.abc import Callable
from typing import TypeVar

from hearth.serving.predictor import Predictor

Parsed = TypeVar("Parsed")

_BYTES_IN_PLACE = 65_536  # a longer body would hold up the event loop


async def parse_body(predictor: Predictor, content: bytes, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Parse the body of a request for predictions where it delays other requests least."""
    if len(content) <= _BYTES_IN_PLACE:
        return parse(content)
    return await predictor.in_compute_thread(lambda: parse(content))
