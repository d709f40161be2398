"""The report on a check, as one HTML page that needs nothing else. Pure."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape

from hearth.monitoring.check import ColumnLevel, DriftCheck, Level

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1b1b1b; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums } img { max-width: 100% } code { background: #f3f3f3; padding: 0 .2rem }
.ok { color: #1a7f37 } .warn { color: #9a6700 } .drift { color: #bc4c00 } .act { color: #b3261e; font-weight: 600 }
.not_enough { color: #57606a }
"""
MEANINGS: Mapping[Level, str] = {
    Level.NOT_ENOUGH: "too few records for an answer",
    Level.OK: "no difference beyond chance",
    Level.WARN: "a difference is more than chance",
    Level.DRIFT: "a difference is more than chance, and large",
    Level.ACT: "large in two windows in a row that share no record: somebody should act",
}


def html_report(check: DriftCheck, title: str, pictures: Mapping[str, bytes]) -> bytes:
    """Return the page; `pictures` are PNG files by name, shown in their order."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>Drift: {escape(check.dataset)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1><p>{_about(check)}</p>",
        f"<p>Level: <span class='{check.level}'>{check.level}</span>, {MEANINGS[check.level]}. {escape(check.summary)}</p>",
        _quality(check),
        _opinion(check),
        _table(check),
    ]
    parts += [f"<h2>{escape(name)}</h2><img alt='{escape(name)}' src='{_data_url(content)}'>" for name, content in pictures.items()]
    return "".join([*parts, "</body></html>\n"]).encode()


def _about(check: DriftCheck) -> str:
    span = ""
    if check.first and check.last:
        span = f", scored from {check.first.scored_at:%Y-%m-%d %H:%M:%S} to {check.last.scored_at:%Y-%m-%d %H:%M:%S} UTC"
    refused = f" {check.refused:,} more of the stream broke the contract ({check.refused_share:.1%})." if check.refused else ""
    return (
        f"Checked {check.checked_at:%Y-%m-%d %H:%M:%S} UTC: {check.records:,} records that version {escape(check.version)} has answered"
        f"{span}, against what it was trained on and how it answers on its test set.{refused} "
        f"{check.tests} tests, corrected together (Bonferroni)."
    )


def _quality(check: DriftCheck) -> str:
    quality = check.quality
    if quality is None:
        return ""
    now, reference = quality.now, quality.reference
    before = f"; on the test set {reference.value:.3f} by the same estimate" if reference else ""
    real = f", {quality.metric:.3f} in truth" if quality.metric is not None else ""
    return (
        f"<p>Estimated {_words(now.metric)} without labels: {now.value:.3f} ({now.low:.3f} to {now.high:.3f}){before}{real}. "
        "It holds while labels keep their meaning and inputs are measured as they were; it cancels no alarm.</p>"
    )


def _words(metric: str) -> str:
    return escape(metric.replace("_", "-"))


def _opinion(check: DriftCheck) -> str:
    opinion = check.second_opinion
    if opinion is None:
        return ""
    used = ", ".join(f"{escape(name)} ({share:.0%})" for name, share in opinion.columns)
    says = "tells" if opinion.sees_drift else "cannot tell"
    return (
        f"<p>Second opinion: a classifier {says} these records from the train set (AUC {opinion.auc:.3f}, {opinion.low:.3f} to "
        f"{opinion.high:.3f}; 0.5 is a guess). It used: {used or 'nothing'}.</p>"
    )


def _table(check: DriftCheck) -> str:
    if not check.columns:
        return ""
    rows = "".join(map(_row, check.columns))
    return (
        "<table><tr><th>column</th><th>level</th><th>p, corrected</th><th>PSI beyond chance</th><th>what changed most</th></tr>"
        f"{rows}</table>"
    )


def _row(column: ColumnLevel) -> str:
    return (
        f"<tr><td>{escape(column.name)}</td><td class='{column.level}'>{column.level}</td><td class='number'>{column.p_value:.2g}</td>"
        f"<td class='number'>{column.difference.psi:.3f}</td><td>{escape(column.difference.detail)}</td></tr>"
    )


def _data_url(content: bytes) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"
