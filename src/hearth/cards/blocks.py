"""What a card is made of when people read it. Texts are plain: each form escapes all of them, so a name can hold anything."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator

_BIDIRECTIONAL = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # would let a name turn the text behind it round
_FILE_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)
_LARGEST_CONTROL, _DELETE_TO = 0x1F, range(0x7F, 0xA0)


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str
    block: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True)
class Items:
    """A list of short texts."""

    items: tuple[str, ...]
    block: Literal["items"] = "items"


@dataclass(frozen=True)
class Table:
    """A table. All rows have as many cells as the header; columns from `numbers_from` on are aligned as numbers.

    Raises:
        ValueError: a row has more or fewer.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers_from: int | None = None
    block: Literal["table"] = "table"

    def __post_init__(self) -> None:
        """Check the rows."""
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"each row must have {len(self.header)} cells")

    def is_number(self, column: int) -> bool:
        """Whether a column is aligned as numbers."""
        return self.numbers_from is not None and column >= self.numbers_from


@dataclass(frozen=True)
class Picture:
    """A picture of the version's run, by its file name below `figures/`, with what it shows.

    The name is written into addresses, where nothing can be escaped.

    Raises:
        ValueError: the name has something else than letters, digits, `_`, `.` and `-`, or more than 100 of them.
    """

    name: str
    caption: str
    block: Literal["picture"] = "picture"

    def __post_init__(self) -> None:
        """Check the name."""
        if not _FILE_NAME.fullmatch(self.name):
            raise ValueError("a picture needs the name of a file")


Block = Annotated[Paragraph | Items | Table | Picture, Discriminator("block")]


@dataclass(frozen=True)
class Section:
    """A part of a card under a title of its own."""

    title: str
    blocks: tuple[Block, ...]


def plain(text: str) -> str:
    """Return a text in one line, without control characters and signs that change the direction of what follows."""
    kept = (
        letter if ord(letter) > _LARGEST_CONTROL and ord(letter) not in _DELETE_TO and ord(letter) not in _BIDIRECTIONAL else " "
        for letter in text
    )
    return " ".join("".join(kept).encode("utf-8", "replace").decode().split())


def facts(*pairs: tuple[str, str | None]) -> Table:
    """Return a table of names and values; a value that is None or empty is said to be missing."""
    return Table(("", ""), tuple((name, value or "not stated") for name, value in pairs))


def lines(texts: Sequence[str], without: str) -> Items | Paragraph:
    """Return texts as a list, or a paragraph that says that there are none."""
    return Items(tuple(texts)) if texts else Paragraph(without)
