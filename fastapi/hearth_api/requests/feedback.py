"""Bodies of `POST /feedback`: one report, or `{"feedback": [{…}, …]}` with what applies to all of them beside."""

from hearth.predictions.feedback import FIELDS
from hearth_api.errors import InvalidBody
from hearth_api.requests.bodies import parse_body_json

_LIST = "feedback"
_SHARED = ("dataset", "reported_by", "observed_at")


def parse_feedback(content: bytes, max_reports: int) -> list[object]:
    """Return the reports of a body, unchecked, each with what applies to all.

    Raises:
        InvalidBody: if it is not JSON, has another form, is empty, or has too many reports.
    """
    body = parse_body_json(content)
    if not isinstance(body, dict):
        raise InvalidBody(f'The body must be a JSON object: one report with {", ".join(FIELDS)}, or {{"{_LIST}": [{{…}}, …]}}.')
    if _LIST not in body:
        return [body]
    if unknown := body.keys() - {_LIST, *_SHARED}:
        names = ", ".join(map(repr, sorted(unknown)))
        raise InvalidBody(f'The body has unknown keys: {names}; expected "{_LIST}", and {", ".join(_SHARED)} for all that do not say it.')
    reports = body[_LIST]
    if not isinstance(reports, list) or not reports:
        raise InvalidBody(f'"{_LIST}" must be a list of at least one report, each an object with {", ".join(FIELDS)}.')
    if len(reports) > max_reports:
        raise InvalidBody(f'"{_LIST}" has {len(reports)} reports, more than the {max_reports} that one request may have: send several.')
    shared = {name: body[name] for name in _SHARED if name in body}
    return [{**shared, **report} if isinstance(report, dict) else report for report in reports] if shared else reports
