"""Write Prometheus' configuration into the volume that it reads: `python -m deploy.compose.monitoring_config`.

It holds a key where REST asks for one, so it cannot be a file of the checkout. JSON is YAML.
"""

import json
import logging
import os
import sys
from pathlib import Path

from deploy.files import FOR_ALL, replace_file
from deploy.monitoring.scrape_config import compose_config
from hearth.logs import configure_logging

_LOGGER = logging.getLogger(__name__)

FOLDER = Path("/monitoring")


def main() -> int:
    """Write the file, whole or not at all."""
    path = FOLDER / "prometheus.yml"
    content = json.dumps(compose_config(os.environ.get("HEARTH_PROMETHEUS_API_KEY", "")), indent=1)
    replace_file(path, content, FOR_ALL)  # Prometheus runs as another user
    _LOGGER.info("%s is written.", path)
    return 0


if __name__ == "__main__":
    configure_logging("monitoring-config")
    sys.exit(main())
