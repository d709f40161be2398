"""What nothing refers to any more is removed: versions, runs and models in MLflow, files of runs that are gone, processed data.

Everything goes in two steps where the server can take it back: first into a trash, and for good after `trash_days` there. Whatever was
stopped halfway is finished by the next pass, and a pass that finds nothing changes nothing.
"""

from hearth.housekeeping.keep_house import keep_house
from hearth.housekeeping.report import Item, Report
from hearth.housekeeping.rules import Rules

__all__ = ["Item", "Report", "Rules", "keep_house"]
