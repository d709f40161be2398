from collections.abc import Callable
from typing import TypeVar

from hearth.serving.predictor import BYTES_IN_PLACE, Predictor

Parsed = TypeVar("Parsed")


async def parse_body(predictor: Predictor, content: bytes, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Parse the body of a request for predictions where it delays other requests least."""
    if len(content) <= BYTES_IN_PLACE:
        return parse(content)
    return await predictor.in_compute_thread(lambda: parse(content))
