"""Alerts as mails: plain text, one thread for each alert."""

import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

from hearth.alerts.message import Message
from hearth.alerts.sender import DeliveryFailed
from hearth.alerts.texts import one_line

Tls = Literal["starttls", "tls", "none"]
_STEP_SECONDS = 10.0
_SECONDS = 25.0  # for all steps together, less than the lease of a claim
_LONGEST_SUBJECT = 200


class Mail:
    """Sends messages by SMTP. `tls`: `starttls` on a plain connection, which is then required, `tls` from the first byte, or `none`."""

    name = "mail"

    def __init__(  # noqa: PLR0913, PLR0917 - what SMTP takes
        self, host: str, port: int, tls: Tls, user: str, password: str, sender: str, receivers: Sequence[str], seconds: float = _SECONDS
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._user, self._password = user, password
        self._sender, self._receivers = sender, tuple(receivers)
        self._seconds = seconds
        self.place = f"{host}:{port}"

    def send(self, message: Message) -> None:
        """Send a message. A receiver that the server refuses beside one that it takes is not tried again.

        Raises:
            DeliveryFailed: the server is away, too slow, or takes the mail for nobody.
        """
        try:
            with self._connection() as connection, _deadline(connection, self._seconds):
                if self._tls == "starttls":
                    connection.starttls(context=ssl.create_default_context())
                if self._user:
                    connection.login(self._user, self._password)
                connection.send_message(mail(message, self._sender, self._receivers), self._sender, self._receivers)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryFailed(f"{self.place}: {type(error).__name__}: {_reason(error)}") from error

    def _connection(self) -> smtplib.SMTP:
        if self._tls == "tls":
            return smtplib.SMTP_SSL(self._host, self._port, timeout=_STEP_SECONDS, context=ssl.create_default_context())
        return smtplib.SMTP(self._host, self._port, timeout=_STEP_SECONDS)


def mail(message: Message, sender: str, receivers: Sequence[str]) -> EmailMessage:
    """Write the mail. Words from outside are on one line before they come into a header."""
    domain = sender.rpartition("@")[2].strip("> ") or "hearth"
    written = EmailMessage(policy=SMTP)
    written["Subject"] = one_line(f"[Hearth] {message.title}: {message.event.text}", _LONGEST_SUBJECT)
    written["From"], written["To"] = sender, ", ".join(receivers)
    written["Date"] = format_datetime(message.event.at)
    written["Message-ID"] = f"<{message.id}@{domain}>"
    if message.event.id != message.first_id:
        written["In-Reply-To"] = written["References"] = f"<hearth-alert-{message.alert.id}-{message.first_id}@{domain}>"
    written["Auto-Submitted"] = "auto-generated"  # holds back the answers of absent people
    written.set_content(message.text + "\n")
    return written


def _reason(error: Exception) -> str:
    """Return what the server says, without the mail's own words, which Python's errors may carry."""
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return one_line(f"{error.smtp_code} {reply.decode(errors='replace') if isinstance(reply, bytes) else reply}")
    return one_line(str(error))


class _deadline:  # noqa: N801 - a context manager, used as a function
    """Break a connection whose server takes too long over all steps; each step has a limit of its own."""

    def __init__(self, connection: smtplib.SMTP, seconds: float) -> None:
        self._timer = threading.Timer(seconds, _closing(connection))
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _closing(connection: smtplib.SMTP) -> Callable[[], None]:
    def close() -> None:
        with suppress(OSError):  # it is closed already
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)

    return close
