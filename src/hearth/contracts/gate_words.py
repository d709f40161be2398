"""The words of a contract about the gate: what a version must show before it gets an alias, and who must be treated alike."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hearth.contracts.column_types import Number, Part, require_distinct

Tie = Literal["log_loss", "size"]


class Bounds(Part):
    """Limits for a version, each optional. A limit is broken if the whole interval of the figure lies beyond it, not the figure alone."""

    calibration_error: Number | None = Field(None, gt=0, le=1, description="expected calibration error, at most")
    log_loss_rise: Number | None = Field(None, ge=0, description="log loss above that of the version that has the alias, at most")
    changed_share: Number | None = Field(
        None, gt=0, le=1, description="share of test rows with another class than from that version, at most"
    )
    group_metric: Number | None = Field(None, ge=0, le=1, description="the contract's metric in each group of a sensitive column, at least")
    recall_gap: dict[str, Number] = Field({}, description="by class: difference of recall between two groups, at most")
    selection_rate_gap: dict[str, Number] = Field({}, description="by class: difference of the share predicted so, at most")

    @model_validator(mode="after")
    def _gaps_are_shares(self) -> Self:
        for word in ("recall_gap", "selection_rate_gap"):
            for label, limit in getattr(self, word).items():
                if not 0 < limit <= 1:
                    message = f"{word}.{label} must lie above 0 and at most 1, got {limit:g}"
                    raise ValueError(message)
        return self

    @property
    def compares_groups(self) -> bool:
        """Whether a bound is about groups of sensitive columns."""
        return self.group_metric is not None or bool(self.recall_gap or self.selection_rate_gap)


class Gate(Part):
    """When a version takes an alias from the version that has it. Both are scored on the same rows.

    `better`: its metric is better by more than noise. `tie_break`: that, or the metric is equal within noise and the first measure of
    `ties` that differs by more than noise is better. `not_worse`: it is worse by less than `margin`, noise included.
    """

    passes: Literal["tie_break", "better", "not_worse"] = "tie_break"
    margin: Number = Field(0.01, gt=0, lt=1, description="not_worse: how much worse the metric may be")
    ties: tuple[Tie, ...] = Field(
        ("log_loss", "size"), description="what decides between versions that are equal within noise, in this order"
    )
    level: Number = Field(0.95, ge=0.5, lt=1, description="confidence level of all intervals")
    bounds: Bounds = Bounds()
    approval: Literal["none", "required"] = Field("none", description="required: a person approves before an alias moves to a version")
    approval_hours: Number = Field(72, gt=0, le=8760, description="how long the person has; then the version is refused")

    @model_validator(mode="after")
    def _ties_are_distinct(self) -> Self:
        require_distinct(self.ties)
        return self
