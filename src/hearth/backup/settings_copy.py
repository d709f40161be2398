"""The settings of a stack, without its secrets, for those who set up another by them."""

import re
from collections.abc import Mapping

_SECRET = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|WEBHOOK|CREDENTIAL")
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s]*@")
_SHORTEST = 6  # a shorter value of a secret may be part of any word

HIDDEN = "(secret)"


def public_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of Hearth whose names do not sound secret; logins in addresses, and values of secrets anywhere, are replaced."""
    ours = {name: value for name, value in environment.items() if name.startswith("HEARTH_")}
    secrets = sorted((value for name, value in ours.items() if _SECRET.search(name) and len(value) >= _SHORTEST), key=len, reverse=True)
    return {name: _hidden(value, secrets) for name, value in sorted(ours.items()) if not _SECRET.search(name)}


def _hidden(value: str, secrets: list[str]) -> str:
    value = _LOGIN_IN_URL.sub(f"{HIDDEN}@", value)
    for secret in secrets:
        value = value.replace(secret, HIDDEN)
    return value
