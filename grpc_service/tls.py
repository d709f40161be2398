"""TLS of the gRPC service: certificate and key of the server, and channels of clients."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from hearth.errors import InvalidSettings
from hearth.settings import GrpcSettings

_LOGGER = logging.getLogger(__name__)
_SCHEME = "grpcs://"
_NAMES = "HEARTH_GRPC_TLS_CERTIFICATE and HEARTH_GRPC_TLS_KEY"


@dataclass(frozen=True)
class _Pair:
    """The contents of a certificate with its chain, and of its key."""

    certificate: bytes
    key: bytes

    @classmethod
    def read(cls, certificate: Path, key: Path) -> "_Pair":
        """Raises InvalidSettings if a file cannot be read, or the two do not belong together."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
            return cls(certificate.read_bytes(), key.read_bytes())
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise InvalidSettings(
                f"{_NAMES}: {certificate} and {key} are no certificate and its key without a password, in PEM: {error}"
            ) from error


class _Renewed:
    """Gives gRPC the pair anew when its files have changed, so that a renewed certificate needs no restart."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self._pair = _Pair.read(certificate, key)
        self._seen = self._changed()

    @property
    def configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(self._pair.key, self._pair.certificate)])

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the pair if it is another one; called at each handshake."""
        try:
            changed = self._changed()
            if changed == self._seen:
                return None
            self._seen = changed
            self._pair = _Pair.read(self._certificate, self._key)
        except (InvalidSettings, OSError) as error:  # such as one of the files before the other is written
            _LOGGER.warning("the certificate before serves on: %s", error)
            return None
        _LOGGER.info("the certificate %s was read anew", self._certificate)
        return self.configuration

    def _changed(self) -> tuple[float, float]:
        return self._certificate.stat().st_mtime, self._key.stat().st_mtime


def server_credentials(settings: GrpcSettings) -> grpc.ServerCredentials | None:
    """Return what the server identifies itself with; None without settings for it.

    Raises:
        InvalidSettings: only one of the two is set, or they are no certificate and its key.
    """
    certificate, key = settings.grpc_tls_certificate, settings.grpc_tls_key
    if not any(map(_is_set, (certificate, key))):
        return None
    if certificate is None or key is None or not all(map(_is_set, (certificate, key))):
        raise InvalidSettings(f"Only one of {_NAMES} is set: set both for TLS, or none.")
    renewed = _Renewed(certificate, key)
    return grpc.dynamic_ssl_server_credentials(renewed.configuration, renewed)  # type: ignore[arg-type]  # None, for no change, is not in its types


def _is_set(path: Path | None) -> bool:
    return path not in {None, Path()}  # an empty variable is the folder "."


def channel_credentials(address: str, ca: Path | None) -> tuple[str, grpc.ChannelCredentials | None]:
    """Return host:port of an address, and the credentials of a channel; None if the address does not begin with grpcs://.

    `ca` is the file of the authority that signed the server's certificate; None: gRPC's own list.

    Raises:
        InvalidSettings: the file cannot be read, or there is one for an address without TLS.
    """
    if not address.startswith(_SCHEME):
        if _is_set(ca):
            raise InvalidSettings(f"HEARTH_GRPC_CA is set, but the address {address!r} is without TLS: write grpcs://{address}.")
        return address, None
    try:
        return address.removeprefix(_SCHEME), grpc.ssl_channel_credentials(ca.read_bytes() if ca and _is_set(ca) else None)
    except OSError as error:
        raise InvalidSettings(f"HEARTH_GRPC_CA: {error}") from error
