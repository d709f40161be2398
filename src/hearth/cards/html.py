"""A card as one HTML page without scripts. The page is a tree of elements, whose texts the standard library escapes."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from hearth.cards.blocks import Block, Items, Paragraph, Picture, Table, plain
from hearth.cards.card import Card
from hearth.cards.layout import heading, sections
from hearth.cards.style import STYLE

_STYLE_HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_IN_PAGE_POLICY = f"default-src 'none'; img-src data:; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
CONTENT_SECURITY_POLICY = f"{_IN_PAGE_POLICY}; frame-ancestors 'none'; sandbox"
"""The header that a service sends with the page: nothing runs, nothing is fetched. The page carries the part that a page can."""

MOST_PICTURE_BYTES = 500_000
MOST_PAGE_BYTES = 4_000_000  # of all pictures: a page has about ten of 50 to 250 KB
_PNG = b"\x89PNG\r\n\x1a\n"


def to_html(card: Card, pictures: Mapping[str, bytes]) -> bytes:
    """Return a card as a page that holds `pictures`, PNG files by name.

    Where one is missing, is no PNG file or has more than 500 KB, the page names the file instead.
    """
    page = ET.Element("html", lang="en")
    top = ET.SubElement(page, "head")
    ET.SubElement(top, "meta", charset="utf-8")
    ET.SubElement(top, "meta", {"http-equiv": "Content-Security-Policy", "content": _IN_PAGE_POLICY})
    ET.SubElement(top, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _text(top, "title", heading(card))
    ET.SubElement(top, "style").text = STYLE
    body = ET.SubElement(ET.SubElement(page, "body"), "main")
    _text(body, "h1", heading(card))
    room = _Pictures(pictures)
    for section in sections(card):
        part = ET.SubElement(body, "section")
        _text(part, "h2", section.title)
        for block in section.blocks:
            _add(part, block, room)
    content: bytes = ET.tostring(page, encoding="utf-8", method="html")
    return b"<!doctype html>\n" + content


class _Pictures:
    """Pictures as addresses that hold them, as long as there is room."""

    def __init__(self, pictures: Mapping[str, bytes]) -> None:
        self._pictures, self._left = pictures, MOST_PAGE_BYTES

    def address(self, name: str) -> str | None:
        content = self._pictures.get(name, b"")
        if not content.startswith(_PNG) or len(content) > min(MOST_PICTURE_BYTES, self._left):
            return None
        self._left -= len(content)
        return f"data:image/png;base64,{b64encode(content).decode()}"


def _add(parent: ET.Element, block: Block, pictures: _Pictures) -> None:
    match block:
        case Paragraph():
            _text(parent, "p", block.text)
        case Items():
            items = ET.SubElement(parent, "ul")
            for item in block.items:
                _text(items, "li", item)
        case Picture():
            figure = ET.SubElement(parent, "figure")
            if address := pictures.address(block.name):
                ET.SubElement(figure, "img", src=address, alt=plain(block.caption))
            _text(figure, "figcaption", block.caption if address else f"{block.caption}: figures/{block.name} of the run is not shown here")
        case Table():
            _table(parent, block)


def _table(parent: ET.Element, table: Table) -> None:
    element = ET.SubElement(ET.SubElement(parent, "div", {"class": "table"}), "table")
    if any(table.header):
        row = ET.SubElement(ET.SubElement(element, "thead"), "tr")
        for at, name in enumerate(table.header):
            _text(row, "th", name, **_style(table, at), scope="col")
    body = ET.SubElement(element, "tbody")
    for cells in table.rows:
        row = ET.SubElement(body, "tr")
        for at, cell in enumerate(cells):
            _text(row, "td" if at or any(table.header) else "th", cell, **_style(table, at))


def _style(table: Table, column: int) -> dict[str, str]:
    return {"class": "number"} if table.is_number(column) else {}


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = plain(text)
