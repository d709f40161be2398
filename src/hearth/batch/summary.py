"""What became of a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

FILE_NAME = "summary.json"


@dataclass(frozen=True)
class Summary:
    """Figures of a batch.

    Attributes:
        id: of its objects, version and options.
        rows, scored, rejected: numbers of rows of all objects that could be read.
        labels: scored rows by predicted class.
        problems: why objects could not be read, by name.
        sampled: records that were stored in the predictions store, for drift.
        seconds: of reading, scoring and writing, without pauses between runs.
        run_id: of the run in MLflow; empty without one.
    """

    id: str
    dataset: str
    alias: str
    version: str
    family: str
    output: str
    objects: int
    chunks: int
    rows: int
    scored: int
    rejected: int
    labels: Mapping[str, int]
    seconds: float
    rows_per_second: float
    include: Sequence[str] = ()
    keep: Sequence[str] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    understood: Mapping[str, str] = field(default_factory=dict)
    sampled: int = 0
    run_id: str = ""

    def to_json(self) -> bytes:
        return _SUMMARY.dump_json(self, indent=2) + b"\n"

    @staticmethod
    def from_json(content: bytes | None) -> "Summary | None":
        """Read what `to_json` wrote; None for nothing, or what another release wrote."""
        try:
            return _SUMMARY.validate_json(content) if content else None
        except ValidationError:
            return None


_SUMMARY = TypeAdapter(Summary)
