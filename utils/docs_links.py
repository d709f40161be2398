"""A hook of MkDocs: links from docs/ to files of the repository become plain text on the site, where those files are not.

A link to a file that does not exist stays, so that `mkdocs build --strict` reports it.
"""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\((\.\.?/[^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:  # noqa: ANN401 - MkDocs' own types, which only its environment has
    """Return the text of a page with the links resolved; MkDocs calls it for each page."""
    docs, folder = Path(config["docs_dir"]).resolve(), Path(page.file.abs_src_path).resolve().parent

    def replaced(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        return link[1] if target.exists() and not target.is_relative_to(docs) else link[0]

    return _LINK.sub(replaced, markdown)
