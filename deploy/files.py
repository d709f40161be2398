"""Small files that are there whole or not at all, for both stacks. Standard library only."""

import os
from pathlib import Path

FOR_OWNER, FOR_ALL = 0o600, 0o644


def replace_file(path: Path, content: str, mode: int = FOR_OWNER) -> None:
    """Write a whole file in one step: whoever reads it meanwhile, and after a crash, finds the old one or the new one.

    `mode` holds from the first byte on, less what the process' mask takes away. For one writer at a time.
    """
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
