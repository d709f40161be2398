"""What is said of an alert to people elsewhere: the same words for every channel. Pure."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from hearth.alerts.alert import Alert, AlertEvent, EventKind

_STACK = "the stack"


@dataclass(frozen=True, slots=True)
class Message:
    """An event of an alert that is to be sent.

    Attributes:
        alert: as it is now.
        event: with the severity and the words of its time.
        first_id: of the alert's first event, which the later ones answer to.
        link: address of the page; empty: none is known.
    """

    alert: Alert
    event: AlertEvent
    first_id: int
    link: str = ""

    @property
    def id(self) -> str:
        """The same at every attempt, so that a receiver can tell a repetition."""
        return f"hearth-alert-{self.event.alert_id}-{self.event.id}"

    @property
    def title(self) -> str:
        """One line: how urgent, of what, which trouble."""
        word = "RESOLVED" if self.event.event == EventKind.RESOLVED else self.event.severity.upper()
        return f"{word} {self.alert.dataset or _STACK}: {self.alert.kind}"

    @property
    def text(self) -> str:
        """Some lines of plain text; what comes from outside is in it as it is."""
        by = f" (by {self.event.by})" if self.event.event == EventKind.RESOLVED and self.event.by != "hearth" else ""
        return "\n".join(filter(None, [f"{self.title}{by}", self.event.text, self.link]))

    def to_json(self) -> bytes:
        """Return the body of a webhook. `text` is for Slack and what reads the same form; everything else is for programs."""
        body = {
            "id": self.id,
            "event": self.event.event,
            "at": self.event.at,
            "severity": self.event.severity,
            "by": self.event.by,
            "text": _escaped(self.text),
            "mrkdwn": False,  # Slack: asterisks and underscores are text
            "link": self.link or None,
            "alert": {**asdict(self.alert), "state": self.alert.state},
        }
        return json.dumps(body, default=datetime.isoformat).encode()


def _escaped(text: str) -> str:
    """Write text for Slack, where <…> is a link or calls everybody of a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
