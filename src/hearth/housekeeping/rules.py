"""How long what nothing refers to stays."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from hearth.settings import HousekeepingSettings

YOUNG = timedelta(days=1)
"""An object that was written within this time is never touched: somebody may be about to name it."""


@dataclass(frozen=True)
class Rules:
    """Days after which a version or a run can go, how many of a data set's newest versions stay, and days in the trash."""

    days: float
    keep_versions: int
    trash_days: float

    @classmethod
    def of(cls, settings: HousekeepingSettings) -> Self:
        """Make those of the environment."""
        return cls(settings.housekeeping_days, settings.housekeeping_keep_versions, settings.housekeeping_trash_days)

    def is_old(self, moment: datetime, now: datetime) -> bool:
        """Return whether something from then can go by its age."""
        return moment <= now - max(timedelta(days=self.days), YOUNG)

    def is_old_trash(self, moment: datetime, now: datetime) -> bool:
        """Return whether something that went into the trash then goes for good."""
        return moment <= now - max(timedelta(days=self.trash_days), YOUNG)
