"""Writes one row into the audit trail, for programs beside the services, whose environments have no driver of the store.

    python -m hearth.audit ACTION RESULT [SUBJECT ...]

It needs the settings of a stack. While the store is away the row is in the log alone.
"""

import sys

from hearth.audit.entry import Action, Result, new_entry
from hearth.audit.trail import record_once
from hearth.errors import InvalidSettings
from hearth.logs import configure_logging
from hearth.settings import PredictionsSettings


def main(action: str, result: str, *names: str) -> None:
    """Write the row; `names` say what it was done to."""
    configure_logging("audit", "WARNING")
    try:
        url = PredictionsSettings().predictions_url.get_secret_value()
    except InvalidSettings:
        url = ""
    record_once(url, new_entry(Action(action), result=Result(result), subject=", ".join(names), detail={"names": list(names)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
