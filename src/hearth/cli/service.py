"""Which REST service the commands of `remote` talk to, with which key, and how its errors end a command."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hearth.cli.application import CommandError
from hearth.cli.checkout import find_checkout

if TYPE_CHECKING:
    from hearth.client import Client

URL, KEY = "HEARTH_API_URL", "HEARTH_API_KEY"
_ADMIN_KEY = "HEARTH_API_ADMIN_KEY"
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Service:
    """Where a REST service is, and the key that it is called with."""

    url: str
    api_key: str | None


def find_service(url: str | None, api_key: str | None) -> Service:
    """Return the service of an address; without one, that of the stack of the checkout, whose own keys are sent to no other address.

    Raises:
        CommandError: no address, and no checkout whose settings name one.
    """
    settings = checkout_settings()
    local = settings.get(URL)
    if url is None and not local:
        raise CommandError(f"Which service? Give --url, or set {URL}.")
    if url is None or url == local:
        return Service(local or "", api_key or settings.get(KEY) or settings.get(_ADMIN_KEY))
    return Service(url, api_key)


@contextmanager
def open_client(url: str | None, api_key: str | None, timeout: float) -> Iterator["Client"]:
    """Give a client of a service.

    Raises:
        CommandError: the service cannot be reached, or refuses the request; in one line.
    """
    from hearth.client import ApiError, Client, ClientError  # noqa: PLC0415 - a help page does not wait for httpx

    service = find_service(url, api_key)
    try:
        with Client(service.url, api_key=service.api_key, timeout=timeout) as client:
            yield client
    except ApiError as error:
        raise CommandError(f"{error.code}: {error.detail}") from error
    except ClientError as error:
        raise CommandError(str(error)) from error
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error


def checkout_settings() -> Mapping[str, str]:
    """Return the settings of the checkout's files: `.env.local` wins over `.env`, and the environment over both inside `${VARIABLE}`."""
    checkout = find_checkout()
    if checkout is None:
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - as above

    files = [dotenv_values(checkout.root / name, interpolate=False) for name in (".env", ".env.local")]
    settings = {name: value or "" for file in files for name, value in file.items()}
    values = settings | dict(os.environ)
    keys = {name: os.environ[name] for name in (KEY, _ADMIN_KEY) if name in os.environ}
    return {name: _VARIABLE.sub(lambda match: values.get(match[1], ""), value) for name, value in (settings | keys).items()}
