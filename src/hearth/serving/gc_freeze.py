"""The garbage collector, and the hundreds of thousands of objects of imported libraries that live as long as their process."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def freeze_after_import() -> Iterator[None]:
    """Look for no garbage meanwhile, and later not among what is there at the end of it.

    To look through what stays again and again takes a fifth of the time of the imports, and later a third of a second of some request's.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def freeze_now() -> None:
    """Look for garbage once more, and from now on not among what is left: what a process has when it is ready stays until its end.

    That is what clients of other servers and the first models import when they are first used. Objects that die later by their last
    reference are freed as ever; only rings of them stay, once.
    """
    gc.collect()
    gc.freeze()
