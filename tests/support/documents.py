"""The code blocks of README and docs/, and who executes them: no block is there that nobody executes and that does not say why.

The language of a block says what happens to it: `sh` is run, and `json` after it compared with the answer, by
tests/integration/test_documents.py; `yaml`, `dotenv`, `promql` and `text` are compared with contracts, settings, metrics and files by
tests/unit/test_documents.py. A block with a title, as in `sh infer`, is followed by the test of its page. A comment above a block says what
is special:

    <!-- not run: why nobody executes it -->
    <!-- fails: 422 -->                       the command gets this status
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
# The pages whose titled blocks, or whose Python, a test of their own executes.
FOLLOWED = {
    "docs/add-a-dataset.md": ("tests/integration/test_add_a_dataset.py", "tests/e2e/test_add_a_dataset.py", "tests/support/guide.py"),
    "docs/add-a-model.md": ("tests/integration/test_add_a_model.py", "tests/e2e/test_add_a_model.py", "tests/support/guide.py"),
    "docs/protocols.md": ("tests/integration/test_foreign_clients.py",),
    "docs/client.md": ("tests/integration/test_client.py",),
}
_FENCE = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*) -->\n)?^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_NOT_RUN, _FAILS = "not run: ", "fails: "


@dataclass(frozen=True)
class Block:
    """A code block of a page; `note` is the comment above it."""

    page: str
    line: int
    language: str
    title: str
    text: str
    note: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def excuse(self) -> str:
        """Why nobody executes it; empty if somebody does."""
        return self.note.removeprefix(_NOT_RUN) if self.note.startswith(_NOT_RUN) else ""

    @property
    def status(self) -> str:
        """The HTTP status of the error that its command gets; empty if it succeeds."""
        return self.note.removeprefix(_FAILS) if self.note.startswith(_FAILS) else ""

    @property
    def is_command(self) -> bool:
        """Whether tests/integration/test_documents.py runs it."""
        return self.language in {"sh", "bash"} and not self.title and not self.excuse


def blocks_of(page: str, text: str) -> Iterator[Block]:
    """Return the blocks of a page in order."""
    for found in _FENCE.finditer(text):
        language, _, title = found["info"].partition(" ")
        line = text.count("\n", 0, found.start("info")) + 1
        yield Block(page, line, language, title, found["text"], found["note"] or "")


BLOCKS = tuple(block for page in PAGES for block in blocks_of(page, (ROOT / page).read_text("utf-8")))


def executor(block: Block) -> str:
    """Return who executes a block: a file of tests; empty if nobody does."""
    if block.title or (block.page == "docs/client.md" and block.language == "python"):
        files = FOLLOWED.get(block.page, ())
        wanted = f'"{block.title}"' if block.title and "/" not in block.title else block.page.rpartition("/")[2]
        return next((file for file in files if wanted in (ROOT / file).read_text("utf-8")), "")
    if block.language in {"sh", "json", "python", "sql"}:
        return "tests/integration/test_documents.py"
    return "tests/unit/test_documents.py" if block.language in {"yaml", "dotenv", "promql", "text", "mermaid"} else ""
