"""Alerts as HTTP requests: a JSON body that Slack and its like show, signed for receivers that check it."""

import asyncio
import hashlib
import hmac
import time
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx

from hearth.alerts.message import Message
from hearth.alerts.sender import DeliveryFailed

_SECONDS = 15.0  # in which a receiver must have answered, whatever it does
_MOST_RETRY_SECONDS = 3_600.0


class Webhook:
    """Posts messages to a URL. The URL may hold a secret, so only its host is ever shown."""

    name = "webhook"

    def __init__(self, url: str, signing_key: str = "", seconds: float = _SECONDS) -> None:
        self._url, self._key, self._seconds = url, signing_key.encode(), seconds
        self.place = urlsplit(url).hostname or "no host"

    def send(self, message: Message) -> None:
        """Send a message and wait for the answer.

        Raises:
            DeliveryFailed: the receiver has not said 2xx in time; a redirect is no such answer.
        """
        try:
            status, retry_after = asyncio.run(asyncio.wait_for(self._post(message), self._seconds))
        except TimeoutError as error:
            raise DeliveryFailed(f"{self.place} has not answered within {self._seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise DeliveryFailed(f"{self.place}: {type(error).__name__}: {error}".replace(self._url, self.place)) from error
        if not httpx.codes.is_success(status):
            raise DeliveryFailed(f"{self.place} has answered {status}", _seconds(retry_after))

    async def _post(self, message: Message) -> tuple[int, str]:
        body = message.to_json()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"hearth/{version('hearth')}",
            "Hearth-Delivery": message.id,
            **({"Hearth-Signature": signature(self._key, body, int(time.time()))} if self._key else {}),
        }
        async with (
            httpx.AsyncClient(timeout=self._seconds) as client,
            client.stream("POST", self._url, content=body, headers=headers) as answer,
        ):
            return answer.status_code, answer.headers.get("Retry-After", "")


def signature(key: bytes, body: bytes, seconds: int) -> str:
    """Return the header by which a receiver knows that a body is ours, and since when: HMAC-SHA256 of `<seconds>.<body>`."""
    digest = hmac.new(key, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), _MOST_RETRY_SECONDS) if retry_after.isascii() and retry_after.isdecimal() else 0.0
