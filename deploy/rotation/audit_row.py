"""The row of a rotation in the audit trail: names of secrets, never a value. `docs/audit.md`."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.embedded.environment import ROOT, load_environment
from deploy.embedded.launcher import SettingError

_SECONDS = 30.0
_PYTHON = ROOT / ".venvs/serve/bin/python"


@contextmanager
def audited(root: Path, outside: Mapping[str, str], names: Sequence[str], *, verb: str, is_compose: bool) -> Iterator[None]:
    """Run a block and record how it ended, by the settings of the stack after it; nothing that happens to the row stops what is done.

    In a Compose stack servers are told later, so the row goes there by the settings before it.

    Args:
        root: The checkout.
        outside: Variables of the shell.
        names: The secrets.
        verb: `rotated` or `retired`.
        is_compose: Whether the settings are written for a Compose stack.
    """
    settings = _settings(root, outside) if is_compose else None
    result = "failed"
    try:
        yield
        result = "done"
    finally:
        _write([f"secrets_{verb}", result, *names], settings or _settings(root, outside))


def _settings(root: Path, outside: Mapping[str, str]) -> dict[str, str]:
    try:
        return load_environment(root, outside)
    except (SettingError, KeyError):  # which is said by what needs them
        return dict(outside)


def _write(words: Sequence[str], environment: Mapping[str, str]) -> None:
    command = [str(_PYTHON), "-P", "-m", "hearth.audit", *words]
    try:
        done = subprocess.run(command, env=environment, stdout=sys.stderr, timeout=_SECONDS, check=False)
        problem = f"code {done.returncode}" if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        print(f"The audit trail has no row of this ({problem}): {' '.join(words)}", file=sys.stderr)
