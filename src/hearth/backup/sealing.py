"""Encrypted, authenticated files that are written and read as streams.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015), as age uses it, with AES-256-GCM of the library `cryptography`: a
file is cut into chunks, and the nonce of each is its number and whether it is the last. A changed, moved, missing or added chunk is found,
and so is an end that comes too early. Each file has a key of its own, made from the backup's key, the file's name and a salt, so a file
under the name of another is found too.
"""

import hashlib
import hmac
import os
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hearth.errors import InvalidBackup

CHUNK_BYTES = 1 << 20
SALT_BYTES = 16
SHORTEST_SECRET = 16

_MAGIC = b"hearth-1"
_TAG_BYTES = 16
_KEY_BYTES = 32
_COUNTER_BYTES = 11


class Readable(Protocol):
    """What can be read in pieces."""

    def read(self, size: int = -1, /) -> bytes: ...


class Writable(Protocol):
    """What can be written in pieces."""

    def write(self, data: bytes, /) -> object: ...


class BackupKey:
    """The keys of one backup, made from the secret that the user has and the backup's salt. scrypt, because people choose secrets."""

    def __init__(self, secret: str, salt: bytes) -> None:
        self._main = Scrypt(salt=salt, length=_KEY_BYTES, n=1 << 15, r=8, p=1).derive(secret.encode())

    @property
    def fingerprint(self) -> str:
        """What tells whether two secrets are the same, and nothing else about them."""
        return self._derived(b"fingerprint").hex()[:16]

    def mac(self, content: bytes) -> str:
        """Return what only somebody with the key can write for this content."""
        return hmac.new(self._derived(b"manifest"), content, hashlib.sha256).hexdigest()

    def cipher(self, name: str, salt: bytes) -> AESGCM:
        """Return the cipher of one file."""
        return AESGCM(self._derived(b"part:" + name.encode(), salt))

    def _derived(self, use: bytes, salt: bytes | None = None) -> bytes:
        return HKDF(SHA256(), _KEY_BYTES, salt, use).derive(self._main)


class SealedWriter:
    """Encrypts what is written to it. Without `finish` the file has no end, and cannot be read as a whole one.

    `size` and `sha256` are those of the encrypted file.
    """

    def __init__(self, file: Writable, key: BackupKey, name: str) -> None:
        salt = os.urandom(SALT_BYTES)
        self._file, self._cipher = file, key.cipher(name, salt)
        self._buffer, self._number = bytearray(), 0
        self._hash, self.size = hashlib.sha256(), 0
        self._emit(_MAGIC + salt)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        self._buffer += data
        while len(self._buffer) > CHUNK_BYTES:  # a whole chunk waits, for it may be the last one
            self._seal(bytes(self._buffer[:CHUNK_BYTES]), is_last=False)
            del self._buffer[:CHUNK_BYTES]
        return len(data)

    def flush(self) -> None:
        """Do nothing: a chunk is written when it is whole. The library of archives asks for it."""

    def finish(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._buffer), is_last=True)
        self._buffer.clear()

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        self._emit(self._cipher.encrypt(_nonce(self._number, is_last=is_last), chunk, None))
        self._number += 1

    def _emit(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)


class SealedReader:
    """Decrypts a file; what it returns was written with the same key, under the same name, in this order.

    Every read raises InvalidBackup where the file is not what was written.
    """

    def __init__(self, file: BinaryIO, key: BackupKey, name: str) -> None:
        self._file, self._name = file, name
        header = file.read(len(_MAGIC) + SALT_BYTES)
        if not header.startswith(_MAGIC) or len(header) != len(_MAGIC) + SALT_BYTES:
            raise InvalidBackup(f"{name} does not begin as a part of a backup does.")
        self._cipher = key.cipher(name, header[len(_MAGIC) :])
        self._next, self._number = file.read(CHUNK_BYTES + _TAG_BYTES), 0
        self._buffer, self._at, self._is_done = b"", 0, False

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes: at most `size`, or all of them; fewer only at the end."""
        parts: list[bytes] = []
        wanted = size
        while wanted != 0:
            if self._at == len(self._buffer) and not self._advance():
                break
            end = len(self._buffer) if wanted < 0 else min(len(self._buffer), self._at + wanted)
            parts.append(self._buffer[self._at : end])
            wanted -= (end - self._at) if wanted > 0 else 0
            self._at = end
        return b"".join(parts)

    def _advance(self) -> bool:
        """Decrypt the next chunk; False after the last."""
        if self._is_done:
            return False
        chunk, self._next = self._next, self._file.read(CHUNK_BYTES + _TAG_BYTES)
        self._is_done = not self._next
        try:
            self._buffer = self._cipher.decrypt(_nonce(self._number, is_last=self._is_done), chunk, None)
        except InvalidTag:
            place = f"in its chunk {self._number + 1}"
            raise InvalidBackup(f"{self._name} was changed or cut off {place}: it is not what the backup wrote.") from None
        self._at, self._number = 0, self._number + 1
        return bool(self._buffer) or self._advance()


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_COUNTER_BYTES, "big") + bytes([is_last])
