"""The page as a process: `python -m streamlit_app --server.address 127.0.0.1 --server.port 8501`; options are those of `streamlit run`."""

import logging
import sys
from pathlib import Path

from hearth.logs import configure_logging
from hearth.logs.printed import log_what_is_printed


def main() -> None:
    """Serve the page until SIGTERM or SIGINT."""
    configure_logging("streamlit")
    from streamlit import logger as streamlit_logger  # noqa: PLC0415 - its loggers are made at import
    from streamlit.web import cli  # noqa: PLC0415

    # Streamlit gives each logger a handler of its own, again whenever its options are read
    streamlit_logger.setup_formatter = _leave_to_root
    for made in streamlit_logger._loggers.values():  # noqa: SLF001 - it has no other list of them
        made.handlers.clear()
        _leave_to_root(made)
    log_what_is_printed()
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("app.py")), *sys.argv[1:]]
    cli.main()


def _leave_to_root(logger: logging.Logger) -> None:
    logger.propagate = True


if __name__ == "__main__":
    main()
