"""The card of a version: every figure and text of it, from which Markdown and HTML are written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter

from hearth.cards.blocks import Section
from hearth.contracts.origins import Origin
from hearth.modelling.approval import NOBODY, Approval
from hearth.modelling.comparison import Interval
from hearth.modelling.evaluation import ReliabilityBin
from hearth.modelling.gate import Decision
from hearth.modelling.group_report import GroupReport
from hearth.modelling.slices import SliceReport
from hearth.modelling.standing import Standing

JSON_FILE, MARKDOWN_FILE, HTML_FILE = FILE_NAMES = "card.json", "card.md", "card.html"
GATE = "hearth.gate"  # the tag of a version that has the verdict of the gate
UNWRITABLE = (ArithmeticError, LookupError, ValueError)
"""What writing a card raises whose parts do not go together: one that somebody else has written into MLflow."""
_MOST_ROWS = 10**15
_NOT_JUDGED, _NOT_REQUIRED = "not judged", "no approval required"


@dataclass(frozen=True)
class Use:
    """What the contract says the version is for, and not for; texts that it does not have are empty."""

    intended_use: str
    not_for: tuple[str, ...]
    oversight: str
    contact: str
    licence: str


@dataclass(frozen=True)
class DataPart:
    """The data that it was trained and evaluated on; rows of each class are counted in both parts."""

    digest: str
    address: str
    origin: Origin
    collected: str
    period: str
    train_rows: int
    test_rows: int
    train_classes: Mapping[str, int]
    test_classes: Mapping[str, int]


@dataclass(frozen=True)
class FeaturePart:
    """A column that the model sees. Statistics are of the train set; those of a personal column are left out."""

    name: str
    description: str
    expected: str
    personal: bool
    sensitive: bool
    missing_share: float
    minimum: float | None = None
    mean: float | None = None
    maximum: float | None = None
    shares: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Calibration:
    """How far confidence and accuracy are apart, and in which bins."""

    error: Interval
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class ImportancePart:
    """The drop of the metric when the values of a feature change places: the mean and the deviation of the repeats."""

    feature: str
    mean: float
    spread: float


@dataclass(frozen=True)
class TrainingPart:
    """How it was tuned: the parameters that were chosen, the settings of the search, its score and the space of its numbers.

    `fitted_rows` says how many of the train rows it was fitted on; None for versions of releases that fitted all models on all.
    """

    params: Mapping[str, str]
    search: Mapping[str, str]
    cv_score: float
    space: Mapping[str, tuple[float, float]]
    fitted_rows: int | None = None


@dataclass(frozen=True)
class Duty:
    """What law asks of a use, where it says so, and what the version or its stack does about it."""

    reference: str
    asks: str
    here: str


@dataclass(frozen=True)
class Card:
    """A version. What is known only later is empty in the card that a training writes, and filled in when it is read.

    That is `version`, `aliases`, `gate` (passed, refused, …), `decision`, `standing` and `approval`. `level` is the confidence level of
    all intervals. `pictures` are file names below `figures/` of the version's run. `sensitive` names the columns whose groups are compared,
    features or not.
    Other modules add parts of their own to `more`; they are shown before what law asks.
    """

    dataset: str
    family: str
    title: str
    description: str
    target: str
    classes: tuple[str, ...]
    metric: str
    level: float
    made: datetime
    use: Use
    data: DataPart
    features: tuple[FeaturePart, ...]
    metrics: Mapping[str, Interval]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration
    groups: GroupReport
    importances: tuple[ImportancePart, ...]
    slices: SliceReport
    training: TrainingPart
    limits: tuple[str, ...]
    people: bool
    law: tuple[Duty, ...]
    libraries: Mapping[str, str]
    revision: str
    pictures: tuple[str, ...]
    sensitive: tuple[str, ...] = ()
    more: tuple[Section, ...] = ()
    version: str = ""
    aliases: tuple[str, ...] = ()
    gate: str = _NOT_JUDGED
    decision: Decision | None = None
    standing: Standing | None = None
    approval: str = _NOT_REQUIRED

    def __post_init__(self) -> None:
        """Refuse a card whose parts are of different shapes: whoever may write to MLflow may write one.

        Raises:
            ValueError: they are.
        """
        classes = len(self.classes)
        if len(self.confusion) != classes or any(len(row) != classes for row in self.confusion):
            raise ValueError(f"confusion must have {classes} rows of {classes} counts")
        if any(set(counts) != set(self.classes) for counts in (self.data.train_classes, self.data.test_classes)):
            raise ValueError("the rows of each class must be of the card's classes")
        counts = [
            *(count for row in self.confusion for count in row),
            self.data.train_rows,
            self.data.test_rows,
            self.training.fitted_rows or 0,
        ]
        counts += [*self.data.train_classes.values(), *self.data.test_classes.values(), self.slices.rows, self.slices.errors]
        if not all(0 <= count <= _MOST_ROWS for count in counts):
            raise ValueError("a number of rows is not possible")
        if self.slices.tested and not self.slices.rows:
            raise ValueError("slices of no rows were tested")

    def as_registered(  # noqa: PLR0913 - all but two are named
        self,
        version: str,
        aliases: tuple[str, ...],
        *,
        tags: Mapping[str, str],
        decision: Decision | None,
        standing: Standing | None,
        approval: str,
    ) -> "Card":
        """Return the card with what the registry says of its version now; `approval` is what `approval_text` says of it."""
        return replace(
            self,
            version=version,
            aliases=aliases,
            gate=tags.get(GATE, _NOT_JUDGED),
            decision=decision,
            standing=standing,
            approval=approval,
        )

    def to_json(self) -> bytes:
        """Write the card as the run keeps it, and as REST answers it."""
        return _CARD.dump_json(self, indent=1)

    @staticmethod
    def from_json(content: bytes) -> "Card | None":
        """Read what `to_json` wrote; None for anything else, since anyone who may write to MLflow may write that file."""
        try:
            return _CARD.validate_json(content)
        except ValueError:  # a validation error is one
            return None


def approval_text(approval: Approval | None, *, required: bool, judged: bool) -> str:
    """Say what a person has answered about a version, or why nobody has.

    Args:
        approval: The answer in the registry, if there is any.
        required: Whether the contract asks a person (`gate.approval`).
        judged: Whether the gate has decided about the version.
    """
    if approval is None:
        if not required:
            return _NOT_REQUIRED
        return "approval required, nobody was asked" if judged else "approval required, not judged yet"
    if approval.state == "waiting":
        return "waiting for approval"
    if approval.state == "refused" and approval.by == NOBODY:
        return "no answer in time"
    return f"{approval.state} by {approval.by}"


_CARD = TypeAdapter(Card)
