"""What is suspicious in a raw file before anything is trained. Pure: a table in, a report out."""

from hearth.data.checks.report import CheckReport, Finding
from hearth.data.checks.runner import CHECKS, check_rows
from hearth.data.checks.table import CheckedRows

__all__ = ["CHECKS", "CheckReport", "CheckedRows", "Finding", "check_rows"]
