"""Rows and batches of the tests' own data set, and SQL as somebody else would run it."""

from collections.abc import Sequence

from sqlalchemy import create_engine, text

from hearth.contracts import Contract
from hearth.data.ingest import Batch
from tests.training.raw_rows import raw_rows

RUN = "manual__1"


def sql(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as somebody else would, and return the rows of the last."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            found = [connection.execute(text(statement)) for statement in statements][-1]
            return [tuple(row) for row in found] if found.returns_rows else []
    finally:
        engine.dispose()


def lists(contract: Contract, rows: int, seed: int = 0) -> list[list[str]]:
    """Rows that keep the contract."""
    frame = raw_rows(contract, rows, seed)
    return [list(row) for row in frame[list(contract.columns)].itertuples(index=False)]


def batch(contract: Contract, number: int, rows: int = 10, group: int = 1) -> Batch:
    return Batch(group, number, tuple(tuple(row) for row in lists(contract, rows, seed=100 * group + number)))


def with_value(contract: Contract, rows: Sequence[Sequence[str]], row: int, column: str, value: str) -> tuple[tuple[str, ...], ...]:
    place = list(contract.columns).index(column)
    changed = [list(texts) for texts in rows]
    changed[row][place] = value
    return tuple(tuple(texts) for texts in changed)
