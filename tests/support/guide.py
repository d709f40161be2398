"""A page of `docs/` that says how something is added, followed to the letter in a copy of the checkout.

What follows the language of a code block says what the block is: a file to write, or a name by which a test asks for it.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venvs", ".hearth", ".env.local", ".*_cache", "__pycache__", ".hypothesis", "*.csv", "*.parquet"
)
_FOREIGN = ("HEARTH_", "MAKE", "MFLAGS", "PYTHON")  # of the shell that the tests are run from


class Copy:
    """A copy of the checkout; what is installed is shared with it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        shutil.copytree(ROOT, self.root, ignore=_NOT_COPIED)
        (self.root / ".venvs").symlink_to(ROOT / ".venvs")

    @property
    def python_path(self) -> str:
        """The PYTHONPATH of processes that run the code of the copy; without it they run the checkout's."""
        return os.pathsep.join(map(str, (self.root / "src", self.root / "fastapi", self.root)))


class Guide(Copy):
    """A page, and the copy in which it is followed."""

    def __init__(self, page: str, folder: Path) -> None:
        text = (ROOT / "docs" / page).read_text("utf-8")
        self.blocks = {title: block for _, title, block in _BLOCK.findall(text)}
        assert text.count("\n```") == 2 * len(self.blocks), "a code block of the page has no name, so no test follows it"
        super().__init__(folder)

    @property
    def data(self) -> Path:
        return self.root / "data"

    def write_files(self) -> None:
        """Write the blocks that are files."""
        for title, block in self.blocks.items():
            if "/" in title:
                path = self.root / title
                path.parent.mkdir(exist_ok=True)
                path.write_text(block, "utf-8")

    def run(self, title: str, env: Mapping[str, str] | None = None, replaced: Mapping[str, str] | None = None) -> str:
        """Run a block in the copy as a person would in a shell; its standard output."""
        script = self.blocks[title]
        for old, new in (replaced or {}).items():
            assert old in script, f"{title} does not have {old}"
            script = script.replace(old, new)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        command = ["bash", "-euo", "pipefail", "-c", script]
        ended = subprocess.run(command, cwd=self.root, env={**inherited, **(env or {})}, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{script}ended with {ended.returncode}:\n{ended.stdout[-4000:]}\n{ended.stderr[-8000:]}"
        return ended.stdout

    def files(self) -> dict[str, str]:
        """Return a digest of every file of the copy."""
        paths = (path for path in self.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def tumours(folder: Path) -> Guide:
    """Follow the page about data sets until there is something to upload."""
    guide = Guide("add-a-dataset.md", folder)
    before = guide.files()
    guide.write_files()
    for title in ("rows", "statistics"):
        guide.run(title)
    after = guide.files()
    assert before.items() <= after.items(), "something was edited"
    assert {name for name in after if name not in before} == {
        f"data/tumours/{name}" for name in ("contract.yaml", "README.md", "tumours.csv", "statistics.json")
    }
    return guide


def boosted_trees(folder: Path) -> Guide:
    """Follow the page about families: the catalogue and one contract of the copy are edited."""
    guide = Guide("add-a-model.md", folder)
    catalogue = guide.root / "src/hearth/modelling/families.py"
    above, mapping = catalogue.read_text("utf-8").split("FAMILIES: Mapping[str, Family] = {\n")
    entries = mapping.removesuffix("}\n")
    assert entries != mapping
    functions, entry = guide.blocks["functions"], guide.blocks["entry"]
    catalogue.write_text(f"{above}{functions}\n\nFAMILIES: Mapping[str, Family] = {{\n{entries}{entry}}}\n", "utf-8")
    contract = guide.data / "heart/contract.yaml"
    text, lines = re.subn(r"^families: .*\n", guide.blocks["families"], contract.read_text("utf-8"), flags=re.MULTILINE)
    assert lines == 1
    contract.write_text(text, "utf-8")
    return guide
