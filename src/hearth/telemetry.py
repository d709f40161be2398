"""How a Hearth process speaks: one readable line an event, in UTC, on standard error."""

import logging
import sys
import time


class _UtcFormatter(logging.Formatter):
    converter = time.gmtime


def configure_logging(service: str, level: str = "INFO") -> None:
    """Set up logging for a whole process; called by `main()` functions, never at import."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_UtcFormatter(f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {service} %(message)s", "%Y-%m-%dT%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
