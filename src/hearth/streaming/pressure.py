"""Whoever fills the stream waits while it is full, so a worker that is away costs no memory."""

import logging
from collections.abc import Callable

from hearth.streaming.patience import Patience

logger = logging.getLogger(__name__)

_FULL_SECONDS = 0.5


def wait_while_full(length: Callable[[], int], max_length: int, patience: Patience) -> bool:
    """Return when the stream holds fewer messages than the bound, or the end has come; tell whether there was anything to wait for.

    Raises:
        Stopped: the end came while the server was away.
    """
    waited = False
    while not patience.ended and (found := patience.keep_trying(length)) >= max_length:
        if not waited:
            logger.warning("waiting: the stream holds %d messages, at most %d are wanted: is a worker running?", found, max_length)
            waited = True
        patience.sleep(_FULL_SECONDS)
    if waited:
        logger.info("going on")
    return waited
