"""The part of the store that says what of the alerts' events is to be sent where, and what was.

An event is written in the transaction of the change that it is about, so nothing is lost between the two. Each channel then gets a row,
which a sender claims for some seconds: a row whose sender has died is due again. So an event is sent at least once, and again only if a
sender ended, or lost the store, between the receiver's answer and its own note. Events of one alert reach a channel in their order.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row, dict_row, kwargs_row

from hearth.alerts.alert import Severity
from hearth.alerts.alert_store import AlertStore, event_row
from hearth.alerts.message import Message
from hearth.alerts.texts import LONGEST_NAME, one_line

GIVE_UP = timedelta(days=1)
"""How long an event is tried."""

# A resolution is only for those who heard of the alert; whatever its severity is by then
_ENQUEUE = """
    INSERT INTO alert_deliveries (event_id, channel, next_at)
    SELECT e.id, %(channel)s, now() FROM alert_events e
    WHERE e.at > now() - %(give_up)s
    AND NOT EXISTS (SELECT FROM alert_deliveries d WHERE d.event_id = e.id AND d.channel = %(channel)s)
    AND (e.event IN ('opened', 'raised') AND e.severity = ANY(%(severities)s)
        OR e.event = 'resolved' AND EXISTS (
            SELECT FROM alert_deliveries d JOIN alert_events p ON p.id = d.event_id
            WHERE p.alert_id = e.alert_id AND p.id < e.id AND d.channel = %(channel)s))
    ON CONFLICT DO NOTHING
"""
_CLAIM = """
    UPDATE alert_deliveries AS claimed SET attempts = attempts + 1, next_at = now() + %(lease)s
    FROM (
        SELECT d.event_id FROM alert_deliveries d JOIN alert_events e ON e.id = d.event_id
        WHERE d.channel = %(channel)s AND d.sent_at IS NULL AND d.gave_up_at IS NULL AND d.next_at <= now()
        AND NOT EXISTS (
            SELECT FROM alert_deliveries f JOIN alert_events p ON p.id = f.event_id
            WHERE p.alert_id = e.alert_id AND p.id < e.id AND f.channel = d.channel AND f.sent_at IS NULL AND f.gave_up_at IS NULL)
        ORDER BY d.event_id LIMIT 1 FOR UPDATE OF d SKIP LOCKED
    ) AS due
    WHERE claimed.event_id = due.event_id AND claimed.channel = %(channel)s
    RETURNING claimed.event_id, claimed.attempts
"""
_EVENT = "SELECT id, alert_id, event, at, severity, by, text FROM alert_events WHERE id = %s"
_GIVE_UP = """
    UPDATE alert_deliveries AS d SET gave_up_at = now() FROM alert_events e JOIN alerts a ON a.id = e.alert_id
    WHERE d.event_id = e.id AND d.channel = %(channel)s AND d.sent_at IS NULL AND d.gave_up_at IS NULL AND e.at <= now() - %(give_up)s
    RETURNING e.alert_id, a.kind, a.dataset, e.event, d.attempts, COALESCE(d.error, '') AS error
"""
_OF_ALERT = """
    SELECT d.event_id, d.channel, d.attempts, d.next_at, d.error, d.sent_at, d.gave_up_at
    FROM alert_deliveries d JOIN alert_events e ON e.id = d.event_id WHERE e.alert_id = %s ORDER BY d.event_id, d.channel
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this process is to send within its lease."""

    message: Message
    channel: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Abandoned:
    """What was never sent."""

    alert_id: int
    kind: str
    dataset: str
    event: str
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """Where an event is on its way to a channel: sent, given up, or tried again at `next_at`."""

    event_id: int
    channel: str
    attempts: int
    next_at: datetime
    error: str | None
    sent_at: datetime | None
    gave_up_at: datetime | None


class Outbox(AlertStore):
    """Every method raises PredictionsUnavailable if the store does not answer."""

    def enqueue(self, channel: str, lowest: Severity, give_up: timedelta = GIVE_UP) -> int:
        """Give new events of this severity and above, and resolutions of what was sent, a row for the channel; return how many."""
        severities = [str(severity) for severity in Severity if severity.rank >= lowest.rank]
        with self._connection() as connection:
            return connection.execute(_ENQUEUE, {"channel": channel, "severities": severities, "give_up": give_up}).rowcount

    def claim(self, channel: str, lease: timedelta, link: str = "") -> Claim | None:
        """Take the oldest message that is due, for some seconds; None if none is."""
        with self._connection() as connection, connection.transaction():
            row = connection.execute(_CLAIM, {"channel": channel, "lease": lease}).fetchone()
            if row is None:
                return None
            event = connection.cursor(row_factory=kwargs_row(event_row)).execute(_EVENT, [row[0]]).fetchone()
            first = connection.execute("SELECT min(id) FROM alert_events WHERE alert_id = %s", [event and event.alert_id]).fetchone()
        assert event is not None and first is not None  # noqa: S101, PT018 - the delivery refers to it
        return Claim(Message(self.alert(event.alert_id), event, first[0], link), channel, row[1])

    def mark_sent(self, claim: Claim) -> None:
        """Note that the receiver has taken the message."""
        self._set("sent_at = now(), error = NULL", claim)

    def mark_failed(self, claim: Claim, error: str, retry: timedelta) -> None:
        """Note why the receiver has not taken the message, and when to try again."""
        self._set("error = %(error)s, next_at = now() + %(retry)s", claim, error=one_line(error, LONGEST_NAME), retry=retry)

    def give_up(self, channel: str, after: timedelta = GIVE_UP) -> list[Abandoned]:
        """Stop trying what is older than `after`, and return it."""
        with self._connection() as connection, connection.cursor(row_factory=class_row(Abandoned)) as cursor:
            return cursor.execute(_GIVE_UP, {"channel": channel, "give_up": after}).fetchall()

    def deliveries(self, alert_id: int) -> list[DeliveryState]:
        """Return where the events of an alert are on their way, in their order."""
        with self._reading(class_row(DeliveryState)) as cursor:
            return cursor.execute(_OF_ALERT, [alert_id]).fetchall()

    def waiting(self) -> dict[str, int]:
        """Return how many messages are neither sent nor given up, by channel."""
        query = "SELECT channel, count(*) AS n FROM alert_deliveries WHERE sent_at IS NULL AND gave_up_at IS NULL GROUP BY channel"
        with self._reading(dict_row) as cursor:
            return {row["channel"]: row["n"] for row in cursor.execute(query)}

    def _set(self, change: str, claim: Claim, **values: object) -> None:
        query = f"UPDATE alert_deliveries SET {change} WHERE event_id = %(event_id)s AND channel = %(channel)s AND sent_at IS NULL"  # noqa: S608
        with self._connection() as connection:
            connection.execute(query.encode(), {"event_id": claim.message.event.id, "channel": claim.channel, **values})
