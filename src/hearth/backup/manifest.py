"""The manifest of a backup: what is in it, from which versions, and what each file has to be. It is written last."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from hearth.backup.sealing import BackupKey
from hearth.errors import InvalidBackup

FORMAT = 1


@dataclass(frozen=True)
class Part:
    """A file of the backup: its size and hash as it lies there, and how many members and bytes it holds."""

    name: str
    size: int
    sha256: str
    members: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. It is no secret: names, counts, sizes and versions; nobody without the key can change it.

    Attributes:
        databases: by name: `revisions` of the schema, `server`, and `tables` with their rows.
        buckets: by name: `objects` and `bytes`.
        streams: by name: `entries`, `groups` and `pending`.
        versions: of Hearth and of its libraries.
        warnings: what whoever restores should know.
    """

    id: str
    started_at: datetime
    finished_at: datetime
    salt: str
    fingerprint: str
    parts: tuple[Part, ...]
    databases: dict[str, dict[str, Any]] = field(default_factory=dict)
    buckets: dict[str, dict[str, int]] = field(default_factory=dict)
    streams: dict[str, dict[str, int]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def size(self) -> int:
        """The bytes of all parts as they lie there."""
        return sum(part.size for part in self.parts)

    def to_bytes(self, key: BackupKey) -> bytes:
        """Return the file, with what proves that it was written with the key."""
        body = asdict(self) | {"started_at": self.started_at.isoformat(), "finished_at": self.finished_at.isoformat()}
        return json.dumps({"manifest": body, "mac": key.mac(_canonical(body))}, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> tuple[Self, bytes, str]:
        """Read a manifest; return it with what was signed and the proof, which `require_key` checks.

        Raises:
            InvalidBackup: it cannot be read, or is of a later Hearth.
        """
        try:
            document = json.loads(content)
            body, mac = document["manifest"], str(document["mac"])
            if body["format"] != FORMAT:
                raise InvalidBackup(f"{where} has the format {body['format']!r}, this Hearth reads {FORMAT}: use the Hearth that wrote it.")
            values = {
                **body,
                "parts": tuple(Part(**part | {"size": int(part["size"])}) for part in body["parts"]),
                "warnings": tuple(body["warnings"]),
                "started_at": datetime.fromisoformat(body["started_at"]).astimezone(UTC),
                "finished_at": datetime.fromisoformat(body["finished_at"]).astimezone(UTC),
            }
            return cls(**values), _canonical(body), mac
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidBackup(f"{where} cannot be read as a manifest ({type(error).__name__}): it was changed or cut off.") from error


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
