"""Checked rows on their way to the object store: on disk, since memory may not hold them."""

from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from hearth.contracts.column_types import CategoryColumn, DateColumn, IdentifierColumn
from hearth.contracts.model import Contract
from hearth.data.validated_part import ValidatedPart, ValidationTotals, rejected_header

_FIRST = 5  # rejected rows that an error shows


class ValidatedSpool:
    """Takes the parts of all raw files in their order.

    Attributes:
        rows: the accepted rows as Parquet.
        lines: the line of each of them as Parquet.
        rejected: the others as CSV.
        first: the line and the reason of the first of these.
        totals: what all amount to.
    """

    def __init__(self, contract: Contract, folder: Path) -> None:
        self.rows, self.lines, self.rejected = folder / "rows.parquet", folder / "lines.parquet", folder / "rejected.csv"
        self.first: list[tuple[str, str]] = []
        self.totals = ValidationTotals(contract)
        self._contract = contract
        self._schema = _schema(contract)
        self._rows = pq.ParquetWriter(self.rows, self._schema, store_schema=False)
        self._lines = pq.ParquetWriter(self.lines, pa.schema([("line", pa.int64())]))
        self._rejected = self.rejected.open("w", encoding="utf-8", newline="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._lines.close()
        self._rejected.close()

    def add(self, part: ValidatedPart, file: str = "") -> None:
        """Add a part; `file` is the name of the raw file where there are several, for the rejected rows."""
        self.totals.add(part)
        if part.accepted.num_rows:
            self._rows.write_table(part.accepted.cast(self._schema))
            self._lines.write_table(pa.table({"line": part.lines}))
        if len(part.rejected):
            rejected, (line, reason) = part.rejected, rejected_header(self._contract)[:2]
            more = _FIRST - len(self.first)
            names = [f"{file}:{number}" if file else str(number) for number in rejected[line].iloc[:more]]
            self.first += zip(names, rejected[reason].iloc[:more], strict=True)
            if file:
                rejected = rejected.assign(**{reason: file + ": " + rejected[reason]})
            self._rejected.write(rejected.to_csv(index=False, header=not self._rejected.tell()))


def _schema(contract: Contract) -> pa.Schema:
    """Return the types of typed columns; categories are written once each, and are texts where they are read."""
    kinds = {CategoryColumn: pa.dictionary(pa.int32(), pa.string()), DateColumn: pa.timestamp("us"), IdentifierColumn: pa.string()}
    return pa.schema([(name, kinds.get(type(column), pa.float64())) for name, column in contract.columns.items()])
