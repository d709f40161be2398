"""What a pass of housekeeping has kept and removed, and why: one line for each reason, with numbers and bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

KEPT, REMOVED, TRASHED, RESTORED, SKIPPED = "kept", "removed", "to the trash", "back from the trash", "not looked at"


@dataclass(frozen=True)
class Item:
    """One thing: what it is, its name, what happens to it and why, and its bytes, None where the store was not asked."""

    what: str
    name: str
    action: str
    why: str
    size: int | None = None


@dataclass(frozen=True)
class Row:
    """All things of a kind with the same fate for the same reason."""

    what: str
    action: str
    why: str
    count: int
    size: int | None


@dataclass
class Report:
    """All things that were looked at; `applied` says whether the actions were taken, or would be."""

    applied: bool
    items: list[Item] = field(default_factory=list)

    def add(self, items: Iterable[Item]) -> None:
        """Add things."""
        self.items.extend(items)

    @property
    def rows(self) -> list[Row]:
        """One row for each kind, action and reason."""

        def order(item: Item) -> tuple[str, str, str]:
            return item.what, item.action, item.why

        rows = []
        for (what, action, why), group in groupby(sorted(self.items, key=order), key=order):
            items = list(group)
            known = [item.size for item in items if item.size is not None]
            count = 0 if action == SKIPPED else len(items)
            rows.append(Row(what, action, why, count, sum(known) if known else None))
        return rows

    def named(self, what: str, action: str) -> list[str]:
        """Return the names of the things of a kind with this fate."""
        return [item.name for item in self.items if item.what == what and item.action == action]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return for each action that changes something how many things of each kind it was, or would be, taken for."""
        found: dict[str, dict[str, int]] = {}
        for item in self.items:
            if item.action not in {KEPT, SKIPPED}:
                kinds = found.setdefault(item.action, {})
                kinds[item.what] = kinds.get(item.what, 0) + 1
        return found

    def to_json(self) -> dict[str, object]:
        """Return it as plain values, without the names of single things."""
        return {"applied": self.applied, "rows": [vars(row) for row in self.rows]}

    def to_text(self) -> str:
        """Return a table for a log, one line for each row."""
        head = ("what", "action", "number", "MB", "why")
        table = [head, *((row.what, row.action, str(row.count), _megabytes(row.size), row.why) for row in self.rows)]
        widths = [max(len(line[column]) for line in table) for column in range(len(head) - 1)]
        lines = [
            "  ".join(cell.rjust(width) if column in {2, 3} else cell.ljust(width) for column, (cell, width) in enumerate(cells))
            + f"  {line[-1]}"
            for line, cells in ((line, list(zip(line[:-1], widths, strict=True))) for line in table)
        ]
        title = "What was done:" if self.applied else "What would be done (nothing was changed):"
        return "\n".join([title, *lines])


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:,.1f}"
