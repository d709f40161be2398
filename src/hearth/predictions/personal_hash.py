"""Keyed hashes that are stored in place of personal values, so that records can be joined and not read.

A hash is HMAC-SHA256 (RFC 2104) of data set, column and value, cut to 128 bits. Equal values of a column have equal hashes as long as the
key stays; who has the key can compute the hash of each value that a column may have, so the key belongs to services alone.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from hearth.contracts import Contract
from hearth.contracts.texts import normalized
from hearth.errors import InvalidSettings

PREFIX = "hmac:"
_SETTING = "HEARTH_PREDICTIONS_HASH_KEY"
_SHORTEST_KEY = 16
_HASH_CHARACTERS = 32


@dataclass(frozen=True)
class PersonalHash:
    """Hashes the values of the columns that a contract calls `personal: hash`."""

    dataset: str
    columns: frozenset[str]
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, contract: Contract, key: str) -> Self:
        """Make it for a contract.

        Raises:
            InvalidSettings: the contract has such columns, and the key is empty or too short.
        """
        if contract.hashed_columns and len(key) < _SHORTEST_KEY:
            names = ", ".join(sorted(contract.hashed_columns))
            raise InvalidSettings(
                f"{_SETTING} has {len(key)} characters, but the contract of {contract.name!r} has columns with `personal: hash`: {names}."
                f" Set it to at least {_SHORTEST_KEY} random characters, the same for all services, or leave their values out with"
                " `personal: true`."
            )
        return cls(contract.name, contract.hashed_columns, key.encode())

    def hashed(self, column: str, value: object) -> object:
        """Return what is stored for a value of a column; None, a missing value, stays."""
        if value is None or column not in self.columns:
            return value
        # 3 and 3.0 are one number, as 0.0 and -0.0 are, and a text in NFC and NFD is one category
        text = repr(float(value) + 0.0) if isinstance(value, int | float) else normalized(str(value))
        message = f"{self.dataset}\x00{column}\x00{text}".encode()
        return PREFIX + hmac.digest(self.key, message, "sha256").hex()[:_HASH_CHARACTERS]


def hashes_of(contracts: Iterable[Contract], key: str) -> Mapping[str, PersonalHash]:
    """Return the hashes by data set. Raises InvalidSettings if a contract needs a key and there is none."""
    return {contract.name: PersonalHash.of(contract, key) for contract in contracts}
