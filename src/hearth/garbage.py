"""The garbage collector, and the hundreds of thousands of objects of imported libraries that live as long as their process."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Look for no garbage meanwhile, and later not among what is there at the end of it.

    To look through what stays again and again takes a fifth of the time of the imports, and later a third of a second of some request's.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
