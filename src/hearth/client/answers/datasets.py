"""Data sets: their columns, the data that were published last, records to try."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from hearth.client.answers.base import Answer


class DatasetSummary(Answer):
    """A data set in a list."""

    name: str
    title: str
    description: str
    default: bool
    links: Mapping[str, str]


class DatasetList(Answer):
    """Every data set."""

    datasets: Sequence[DatasetSummary]


class ColumnInfo(Answer):
    """A column: `expected` says in words what a value must be."""

    name: str
    kind: str
    description: str
    nullable: bool
    expected: str
    unit: str | None
    minimum: int | float | str | None
    maximum: int | float | str | None
    categories: Sequence[str | int] | None
    meanings: Sequence[str] | None


class DatasetColumn(ColumnInfo):
    """A column of the raw file; `role` is feature, target, group or dropped."""

    role: str


class DatasetInfo(Answer):
    """The contract of a data set."""

    name: str
    title: str
    description: str
    default: bool
    target: str
    classes: Sequence[str]
    class_codes: Sequence[str | int]
    metric: str
    families: Sequence[str]
    aliases: Sequence[str]
    columns: Sequence[DatasetColumn]
    example: Mapping[str, object]
    links: Mapping[str, str]


class DataColumn(Answer):
    """What the train rows have in a feature: statistics of a number, or the share of each category."""

    name: str
    count: int
    missing_share: float
    mean: float | None = None
    std: float | None = None
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    shares: Mapping[str, float] | None = None


class DataInfo(Answer):
    """The data that were published last; `moved` is the share of the rows that would have to change to be as `compared_with`."""

    dataset: str
    digest: str
    origin: str
    published: datetime
    source: str
    run_id: str
    rows_in: int
    rejected: int
    reasons: Mapping[str, int]
    kept: int
    dropped: Mapping[str, int]
    duplicate_share: float
    train_rows: int
    test_rows: int
    classes: Mapping[str, float]
    compared_with: str
    moved: Mapping[str, float]
    warnings: Sequence[str]
    understood: Sequence[str]
    typical: Mapping[str, object]
    columns: Sequence[DataColumn]


class SampleRecords(Answer):
    """Records to try; `source` says what they are drawn from."""

    dataset: str
    source: str
    records: Sequence[Mapping[str, object]]
