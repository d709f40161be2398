"""What the tests of the page share in one process. It is closed before another test runs: an open browser has an event loop running."""

from contextlib import ExitStack

OPEN = ExitStack()
