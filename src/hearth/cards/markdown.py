"""A card as Markdown (CommonMark with the tables of GitHub). No text can become markup, a link or HTML."""

import html
import re

from hearth.cards.blocks import Block, Items, Paragraph, Picture, Table, plain
from hearth.cards.card import Card
from hearth.cards.layout import heading, sections

_MARKUP = re.compile(r"([\\`*_{}\[\]|~$!@^])")
_LINK = re.compile(r"(?<=:)(//)|(?<=www)(\.)", re.IGNORECASE)  # what GitHub makes links of without being asked
_LINE_START = re.compile(r"^(?:[#=]|[+-](?!\d)|\d+(?=[.)](?:\s|$)))")  # a number such as 0.5 or -1 begins no list


def to_markdown(card: Card, figures: str = "figures/") -> str:
    """Return a card as Markdown; pictures are links to files below `figures`."""
    parts = [f"# {escape(heading(card))}"]
    for section in sections(card):
        parts.append(f"## {escape(section.title)}")
        parts += [_written(block, figures) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return Markdown that shows a text as it is, in one line."""
    marked = _MARKUP.sub(r"\\\1", html.escape(plain(text), quote=False))
    unlinked = _LINK.sub(lambda found: f"\\{found.group()}", marked)
    return _LINE_START.sub(lambda found: f"\\{found.group()}" if not found.group()[0].isdigit() else f"{found.group()}\\", unlinked)


def _written(block: Block, figures: str) -> str:
    match block:
        case Paragraph():
            return escape(block.text)
        case Items():
            return "\n".join(f"- {escape(item) or '-'}" for item in block.items)
        case Picture():
            return f"![{escape(block.caption)}]({figures}{block.name})"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    rule = ("---:" if table.is_number(at) else "---" for at in range(len(table.header)))
    return "\n".join(
        ["| " + " | ".join(cells) + " |" for cells in (map(escape, table.header), rule, *(map(escape, row) for row in table.rows))]
    )
