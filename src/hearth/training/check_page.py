"""The report about a raw file as one HTML page, pictures inside. Needs no network, runs no script."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape

from hearth.data.checks import CheckReport, Finding
from hearth.data.checks.report import LEVELS

_COLOURS = {"stop": "#b00020", "warn": "#9a6700", "info": "#0b5c8a"}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #ddd; padding: .4rem; text-align: left; vertical-align: top }
.level { color: #fff; border-radius: .3rem; padding: .1rem .5rem; font-weight: 600 } img { max-width: 100% } small { color: #555 }
"""


def render_page(report: CheckReport, pictures: Mapping[str, bytes]) -> bytes:
    """Return the page.

    Args:
        report: What was found.
        pictures: PNG files by title.
    """
    return "\n".join(_parts(report, pictures)).encode()


def _parts(report: CheckReport, pictures: Mapping[str, bytes]) -> Iterator[str]:
    title = f"Data check of {report.dataset}"
    yield f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{escape(title)}</h1><p>{escape(report.source)}: {report.rows:,} rows with a target, checked in {report.seconds:.1f} s.</p>"
    yield f"<p>{', '.join(f'{len(report.at(level))} {level}' for level in LEVELS)}.</p>"
    if report.findings:
        yield "<table><tr><th>Level</th><th>Check</th><th>Where</th><th>What</th><th>What to do</th></tr>"
        yield from map(_row, report.findings)
        yield "</table>"
    for name, reason in report.failed.items():
        yield f"<p>Not checked: {escape(name)}: {escape(reason)}</p>"
    if report.skipped:
        yield f"<p>Skipped by the contract: {escape(', '.join(report.skipped))}</p>"
    for caption, content in pictures.items():
        image = b64encode(content).decode()
        yield f"<h2>{escape(caption)}</h2><img alt='{escape(caption, quote=True)}' src='data:image/png;base64,{image}'>"
    yield "</body></html>"


def _row(finding: Finding) -> str:
    lines = ", ".join(map(str, finding.lines)) + (", …" if finding.count > len(finding.lines) else "")
    where = escape(", ".join(finding.columns)) + (f"<br><small>{finding.count:,} rows, lines {lines}</small>" if finding.lines else "")
    figures = "; ".join(f"{name} {value:.4g}" for name, value in finding.figures.items())
    return (
        f"<tr><td><span class='level' style='background:{_COLOURS[finding.level]}'>{finding.level}</span></td>"
        f"<td>{escape(finding.check)}</td><td>{where}</td><td>{escape(finding.what)}<br><small>{escape(figures)}</small></td>"
        f"<td>{escape(finding.advice)}</td></tr>"
    )
