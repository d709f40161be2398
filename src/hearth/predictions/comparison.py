"""Predictions of champion and challenger for the same records, counted by the store."""

from dataclasses import dataclass

LABEL_PAIRS = """
    SELECT answer.version AS champion_version, challenger.version AS challenger_version,
           answer.label AS champion_label, challenger.label AS challenger_label, count(*) AS records
    FROM predictions AS challenger
    JOIN predictions AS answer ON answer.message_id = challenger.message_id AND answer.row = challenger.row AND answer.role = 'answer'
    WHERE challenger.role = 'challenger' AND challenger.dataset = %(dataset)s
      AND challenger.scored_at >= COALESCE(%(since)s, '-infinity'::timestamptz)
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
"""


@dataclass(frozen=True, slots=True)
class LabelPair:
    """The number of records to which the champion gave one label and the challenger the other."""

    champion_version: str
    challenger_version: str
    champion_label: str
    challenger_label: str
    records: int
