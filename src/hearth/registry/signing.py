"""Signatures of what our trainings register and our gate decides, made with a key that MLflow does not have.

MLflow has no login: whoever reaches it can write files, versions and tags. A signature is an HMAC-SHA256, so only a process with the key
can make one. It is a tag: `v1:<id of the key>:<HMAC>`. The id tells a signature of another key from one that does not fit its content.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from enum import Enum

from hearth.errors import InvalidSettings

_FORM = "v1"
_ID_DIGITS = 8
_LEAST_CHARACTERS = 16


class Signed(Enum):
    """What a signature says about its content."""

    YES = "signed"
    NO = "not signed"
    OTHER_KEY = "signed with another key"
    CHANGED = "not what was signed"


class Signer:
    """Signs with its first key, and accepts signatures of all of them."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take the keys; without one nothing is signed, and no signature is accepted. Raises InvalidSettings if a key is short."""
        if any(len(key) < _LEAST_CHARACTERS for key in keys):
            raise InvalidSettings(f"HEARTH_MODEL_SIGNING_KEY: a key has fewer than {_LEAST_CHARACTERS} characters.")
        self._keys = {hashlib.sha256(b"id" + key.encode()).hexdigest()[:_ID_DIGITS]: key.encode() for key in keys}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def sign(self, content: Mapping[str, object]) -> str:
        """Return the signature of a content, which JSON must be able to hold; raises StopIteration without a key."""
        name = next(iter(self._keys))
        return f"{_FORM}:{name}:{self._code(name, content)}"

    def knows(self, signature: str) -> bool:
        """Whether a signature names one of the keys; it may still not fit its content."""
        form, _, rest = signature.partition(":")
        return form == _FORM and rest.partition(":")[0] in self._keys

    def check(self, signature: str, content: Mapping[str, object]) -> Signed:
        """Compare a signature, which may be empty, with the content."""
        if not signature:
            return Signed.NO
        if not self.knows(signature):
            return Signed.OTHER_KEY
        name, _, code = signature.removeprefix(f"{_FORM}:").partition(":")
        return Signed.YES if hmac.compare_digest(code.encode(), self._code(name, content).encode()) else Signed.CHANGED

    def _code(self, name: str, content: Mapping[str, object]) -> str:
        message = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hmac.new(self._keys[name], message.encode(), hashlib.sha256).hexdigest()
