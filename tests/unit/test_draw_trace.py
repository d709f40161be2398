"""The picture of a trace."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import typer
from typer.testing import CliRunner

from utils.draw_trace import DrawnSpan, draw, main

SPANS = [
    DrawnSpan("worker", "process <x>", "consumer", "2", "1", 5_000_000, 9_000_000),
    DrawnSpan("rest", "POST /predict", "server", "1", "outside", 0, 3_000_000),
    DrawnSpan("worker", "score", "internal", "3", "2", 6_000_000, 7_000_000),
]
SVG = "{http://www.w3.org/2000/svg}"


def test_each_span_is_below_what_it_belongs_to_and_has_its_time() -> None:
    picture = ET.fromstring(draw(SPANS))  # noqa: S314 - ours
    texts = ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]
    assert texts == ["rest", "worker", "POST /predict server", "3.0 ms", "process <x> consumer", "4.0 ms", "score internal", "1.0 ms"]
    places = [float(text.attrib["x"]) for text in picture.iter(f"{SVG}text") if "ms" not in "".join(text.itertext())][2:]
    assert places == sorted(places)
    assert len(set(places)) == 3


def test_a_file_of_spans_becomes_a_file_with_a_picture(tmp_path: Path) -> None:
    spans = [{name: getattr(span, name) for name in DrawnSpan.__dataclass_fields__} | {"links": []} for span in SPANS]
    (tmp_path / "spans.json").write_text(json.dumps(spans), encoding="utf-8")
    application = typer.Typer()
    application.command()(main)
    result = CliRunner().invoke(application, [str(tmp_path / "spans.json"), str(tmp_path / "trace.svg")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "trace.svg").read_text("utf-8") == draw(SPANS)
