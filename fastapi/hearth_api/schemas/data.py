"""The data of a data set: what was published last, and records to try."""

from datetime import datetime

from pydantic import BaseModel, Field


class DataColumn(BaseModel):
    """What the train rows have in a feature. Columns that the contract calls personal are left out."""

    name: str
    count: int = Field(description="rows with a value")
    missing_share: float
    mean: float | None = Field(None, description="of numbers")
    std: float | None = None
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    shares: dict[str, float] | None = Field(None, description="of each category among the values that are present")


class DataInfo(BaseModel):
    """The data that were published last: trainings take them, and versions stand on their test rows."""

    dataset: str
    digest: str
    origin: str = Field(description="where they came from: generated, file, batches or unknown")
    published: datetime
    source: str = Field(description="the raw file")
    run_id: str = Field(description="the MLflow run of the ETL that made them")
    rows_in: int = Field(description="rows of the raw file")
    rejected: int = Field(description="rows that break the contract")
    reasons: dict[str, int] = Field(description="rejected rows by reason, the most frequent first; a row may have several")
    kept: int = Field(description="rows in train and test set")
    dropped: dict[str, int] = Field(description="valid rows that were left out, by reason")
    duplicate_share: float = Field(description="of the valid rows: left out as copies of others")
    train_rows: int
    test_rows: int
    classes: dict[str, float] = Field(description="share of each class in the train set")
    compared_with: str = Field(description="the data that `moved` compares with; empty if there were none")
    moved: dict[str, float] = Field(description="share of the rows that would have to change to be as before, by column, the largest first")
    warnings: list[str] = Field(description="what a person should look at: columns that have moved, and what was odd in the file")
    understood: list[str] = Field(description="how the raw file was read")
    typical: dict[str, object] = Field(description="a record with the median of each number and the most frequent category")
    columns: list[DataColumn]


class SampleRecords(BaseModel):
    """Records that the contract allows, to try the service with; none of them is a row of the data."""

    dataset: str
    source: str = Field(
        description="what they are drawn from: statistics (committed, columns depend on each other), published (columns are independent) "
        "or contract (evenly over what it allows)"
    )
    records: list[dict[str, object]]
