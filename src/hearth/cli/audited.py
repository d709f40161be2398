"""What commands write into the audit trail: the user of this machine did it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hearth.audit import Action, AuditTrail, Draft, Trail


@contextmanager
def trail_of_checkout() -> Iterator["AuditTrail"]:
    """Give the trail in the predictions store of the settings.

    Raises:
        InvalidSettings: HEARTH_PREDICTIONS_URL is missing.
    """
    from hearth.audit import open_trail  # noqa: PLC0415 - a help page does not wait for it
    from hearth.settings import PredictionsSettings  # noqa: PLC0415

    with open_trail(PredictionsSettings().predictions_url.get_secret_value()) as trail:
        yield trail


@contextmanager
def audited(action: "Action", draft: "Draft") -> Iterator["Draft"]:
    """Run a block and record how it ended; the log has the row while the store is away, and where no store is named."""
    from hearth.audit import recorded  # noqa: PLC0415
    from hearth.audit.trail import LogTrail  # noqa: PLC0415
    from hearth.errors import InvalidSettings  # noqa: PLC0415

    with ExitStack() as stack:
        try:
            trail: Trail = stack.enter_context(trail_of_checkout())
        except InvalidSettings:
            trail = LogTrail()
        yield stack.enter_context(recorded(trail, action, draft))
