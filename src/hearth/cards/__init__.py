"""Model cards: what is said of a version, as JSON, Markdown and HTML. Pure."""

from hearth.cards.blocks import Items, Paragraph, Picture, Section, Table
from hearth.cards.card import FILE_NAMES, JSON_FILE, Card
from hearth.cards.html import CONTENT_SECURITY_POLICY, to_html
from hearth.cards.markdown import to_markdown

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "FILE_NAMES",
    "JSON_FILE",
    "Card",
    "Items",
    "Paragraph",
    "Picture",
    "Section",
    "Table",
    "to_html",
    "to_markdown",
]
