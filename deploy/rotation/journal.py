"""What a rotation has decided and done: a file beside .env.local, so that one that was killed is finished with the same values."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.files import replace_file


@dataclass
class Journal:
    """The names, the settings with their new values, and the steps that are done."""

    path: Path
    names: list[str]
    changed: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=dict)  # the values that the running stack has of these settings
    done: list[str] = field(default_factory=list)
    restarting: list[str] | None = None  # the services that ran when the first was touched; None: none has been touched yet

    @classmethod
    def read(cls, path: Path) -> "Journal | None":
        """Return the rotation that was not finished; None if there is none."""
        if not path.exists():
            return None
        return cls(path, **json.loads(path.read_text(encoding="utf-8")))

    def write(self) -> None:
        """Write the file in one step; only its owner reads it."""
        content = asdict(self)
        del content["path"]
        replace_file(self.path, json.dumps(content))

    def finish(self, step: str) -> None:
        """Note that a step is done."""
        self.done.append(step)
        self.write()

    def restart(self, names: list[str]) -> None:
        """Note which services start again, before the first one stops: after a kill, what is down says nothing about what was up."""
        self.restarting = names
        self.write()

    def remove(self) -> None:
        """Forget it: all is done."""
        self.path.unlink(missing_ok=True)
