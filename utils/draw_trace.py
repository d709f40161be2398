"""Draw a trace as a picture: `python -m utils.draw_trace spans.json docs/images/trace.svg`.

The file has a list of spans: `service`, `name`, `kind`, `span_id`, `parent_id`, `start` and `end` in nanoseconds.
`tests/support/trace_capture.py` writes the one of docs/tracing.md, as a collector got it from real servers.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from xml.sax.saxutils import escape

import typer

from hearth.cli.application import run_program

_WIDTH, _NAMES, _ROW, _TOP, _INDENT = 960, 360, 26, 44, 16
_COLOURS = ("#3b6fb6", "#c2713a", "#4b8a57", "#8a5a9e")
_SHORTEST = 2.0  # pixels of a bar


@dataclass(frozen=True)
class DrawnSpan:
    """A span; times in nanoseconds."""

    service: str
    name: str
    kind: str
    span_id: str
    parent_id: str
    start: int
    end: int


def main(
    spans: Annotated[Path, typer.Argument(help="A JSON file with the spans of one trace.")],
    output: Annotated[Path, typer.Argument(help="The picture, an SVG.")],
) -> None:
    """Draw the spans of a trace below each other, over their time."""
    names = DrawnSpan.__dataclass_fields__
    found = [DrawnSpan(**{name: given[name] for name in names}) for given in json.loads(spans.read_text("utf-8"))]
    output.write_text(draw(found), encoding="utf-8")


def draw(spans: Sequence[DrawnSpan]) -> str:
    """Return an SVG of one trace."""
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    services = list(dict.fromkeys(span.service for span in sorted(spans, key=lambda span: span.start)))
    scale = (_WIDTH - _NAMES - 90) / max(1, last - first)
    height = _TOP + _ROW * len(spans) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for place, service in enumerate(services):
        colour, x = _COLOURS[place % len(_COLOURS)], 14 + 190 * place
        parts.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{colour}"/><text x="{x + 18}" y="23">{escape(service)}</text>')
    for row, (span, depth) in enumerate(_in_order(spans)):
        y = _TOP + _ROW * row
        left, width = _NAMES + (span.start - first) * scale, max(_SHORTEST, (span.end - span.start) * scale)
        colour = _COLOURS[services.index(span.service) % len(_COLOURS)]
        milliseconds = (span.end - span.start) / 1e6
        parts += [
            f'<line x1="0" x2="{_WIDTH}" y1="{y}" y2="{y}" stroke="#e5e5e5"/>',
            f'<text x="{14 + _INDENT * depth}" y="{y + 18}">{escape(span.name)} <tspan fill="#707070">{escape(span.kind)}</tspan></text>',
            f'<rect x="{left:.1f}" y="{y + 6}" width="{width:.1f}" height="{_ROW - 12}" fill="{colour}"/>',
            f'<text x="{left + width + 6:.1f}" y="{y + 18}" fill="#505050">{milliseconds:.1f} ms</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _in_order(spans: Sequence[DrawnSpan]) -> Iterator[tuple[DrawnSpan, int]]:
    """Yield each span before those that it has begun, with its depth."""
    known = {span.span_id for span in spans}
    by_parent: dict[str, list[DrawnSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        by_parent.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)

    def below(parent: str, depth: int) -> Iterator[tuple[DrawnSpan, int]]:
        for span in by_parent.get(parent, []):
            yield span, depth
            yield from below(span.span_id, depth + 1)

    yield from below("", 0)


if __name__ == "__main__":
    run_program(main)
