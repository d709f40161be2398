"""The answer of a person whom the contract asks before an alias moves to a version that has passed the gate."""

from dataclasses import dataclass
from typing import Literal

ApprovalState = Literal["waiting", "approved", "refused"]
LONGEST_COMMENT = 1_000  # characters; MLflow takes a few thousand in a tag
NOBODY = "nobody"
"""Who refused where the time to answer was over."""


@dataclass(frozen=True)
class Approval:
    """Whether a person lets a version have its alias.

    Attributes:
        state: what the answer is, or that there is none yet.
        by: who answered; NOBODY where the time was over.
        at: when, in ISO form.
        comment: what the person wrote, at most LONGEST_COMMENT characters.
        task: which task of Airflow waits, as `DAG/RUN/TASK`: where the answer is given.
    """

    state: ApprovalState
    by: str = ""
    at: str = ""
    comment: str = ""
    task: str = ""

    def __str__(self) -> str:
        if self.state == "waiting":
            return "it waits for the approval of a person"
        if self.by == NOBODY:
            return "it is refused, as nobody answered in time"
        return f"{self.by} has {self.state} it{f': {self.comment}' if self.comment else ''}"


def written(comment: str) -> str:
    """Return a comment as it is kept: one line of printable characters, at most LONGEST_COMMENT of them."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in comment).split())[:LONGEST_COMMENT]
