"""Keep the garbage collector away from the many objects of imported libraries, which live as long as the process."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def freeze_after_import() -> Iterator[None]:
    """Collect no garbage in the block, and exclude all objects that exist at its end from later collections.

    Collections would take a fifth of the time of imports, and later a third of a second in some request.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def freeze_now() -> None:
    """Collect garbage, and exclude the objects that remain from later collections; for a process that is ready.

    By then clients of other servers and the first models have imported what they need. Excluded objects are freed with their last
    reference, as always; only cycles among them stay.
    """
    gc.collect()
    gc.freeze()
