"""Which tests run in the same process, and which of them first, when pytest-xdist runs several processes.

A file is one unit of work, because modules share their fixtures. This file lists the exceptions.
"""

import os
from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadScopeScheduling

# Each test makes all that it needs: a unit of its own.
SPLIT = ("tests/integration/test_embedded_stack.py",)

# These share a process: they open one page, or register models under the names of real data sets in the shared MLflow.
GROUPS = {"page": ("tests/integration/test_add_a_model.py", "tests/integration/test_documents.py", "tests/browser/")}

# These take longest: they start first, so that no process works alone at the end.
FIRST = (
    "tests/browser/",
    "tests/integration/test_add_a_model.py",
    "tests/integration/test_embedded_stack.py",
    "tests/integration/test_add_a_dataset.py",
    "tests/e2e/test_mlops_pipeline.py",
    "tests/e2e/test_dags.py",
    "tests/training/test_notebook.py",
    "tests/training/test_registry.py",
    "tests/unit/test_compiled.py",
)


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out files and groups of files, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def unit(nodeid: str) -> str:
    """Return the name of the unit that a test belongs to."""
    file = nodeid.split("::", 1)[0]
    if file in SPLIT:
        return nodeid
    return next((name for name, members in GROUPS.items() if file.startswith(members)), file)


def sort_items(items: list[pytest.Item], first: Sequence[str] = FIRST) -> None:
    """Move the tests that take longest to the front."""

    def rank(item: pytest.Item) -> int:
        return next((number for number, prefix in enumerate(first) if item.nodeid.startswith(prefix)), len(first))

    items.sort(key=rank)


def processes(paths: Sequence[str]) -> int:
    """Return how many processes run the tests under these paths: one more than processors where tests wait for servers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting = any(path.strip("/").endswith(("integration", "browser", "e2e")) for path in paths)
    return min(cores + waiting, 6)
