"""Texts of a data set, whose signs mean nothing, in places where Streamlit reads Markdown: `k$ … k$` would be a formula."""

import re

_SIGNS = re.compile(r"([\\`*_\[\]<>$:~|#^])")


def literal(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    return _SIGNS.sub(r"\\\1", text)
