"""Logging of Hearth processes: one readable line an event, in UTC, on standard error."""

import logging
import sys
import time


def configure_logging(service: str, level: str = "INFO") -> None:
    """Configure logging of the whole process; called by `main()` functions, never at import."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter(f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {service} %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for library in ("urllib3", "httpx"):  # they log every request and retry; callers log what matters
        logging.getLogger(library).setLevel(logging.ERROR)
