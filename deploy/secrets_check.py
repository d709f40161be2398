"""What must not start in production or on an address that others reach: laptop secrets, weak ones, and services without a login.

One for both stacks: `hearth up` and Compose's preflight refuse what it finds, `hearth doctor` shows it. Standard library only.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

LAPTOP_SECRET = "changethis"  # noqa: S105 - the marker of every secret in the committed .env
LAPTOP_LOGIN = "HEARTH_AIRFLOW_PASSWORD", "airflow"
# Logins that are off on a laptop: their secrets are empty in .env, and `make secrets` writes them.
OPTIONAL_SECRETS = ("HEARTH_REDIS_PASSWORD", "HEARTH_MLFLOW_PASSWORD", "HEARTH_PREDICTIONS_HASH_KEY")
# Passwords that somebody else has chosen, who says how long they are.
FOREIGN_SECRETS = ("HEARTH_ALERT_MAIL_PASSWORD",)
ALLOWANCE = "HEARTH_ALLOW_WITHOUT_LOGIN"

_LOCAL_ADDRESSES = ("127.0.0.1", "::1", "[::1]", "localhost")
_SECRET_NAME = re.compile(r"HEARTH_\w*(PASSWORD|SECRET|SECRET_KEY|ADMIN_KEY|API_KEY|FERNET_KEY|SIGNING_KEY|HASH_KEY|BACKUP_KEY)")
_URL_NAME = re.compile(r"HEARTH_\w*(URL|URI)")
_SHORTEST, _LEAST_DIFFERENT = 16, 8
_REMEDY = "`make secrets` writes strong values to .env.local."


def weakness(secret: str) -> str:
    """Return why a secret can be guessed; empty if it cannot."""
    if len(secret) < _SHORTEST:
        return f"has less than {_SHORTEST} characters"
    if len(set(secret.casefold())) < _LEAST_DIFFERENT:
        return f"has less than {_LEAST_DIFFERENT} different characters"
    return ""


def laptop_values(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that still have the value of the committed .env."""
    return sorted(name for name, value in environment.items() if name.startswith("HEARTH_") and _is_laptop_value(name, value))


def weak_values(environment: Mapping[str, str]) -> dict[str, str]:
    """Return why secrets can be guessed, by name; those with a laptop value are not among them, and what is empty is no secret."""
    laptop = set(laptop_values(environment))
    found = {
        name: weakness(secret) for name, value in sorted(environment.items()) if name not in laptop for secret in _secrets(name, value)
    }
    return {name: reason for name, reason in found.items() if reason}


def services_without_login(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the services that ask nobody who they are, by name, with the setting that gives them a login."""
    return {
        name: remedy
        for name, (is_open, remedy) in {
            "valkey": (not environment.get("HEARTH_REDIS_PASSWORD"), "HEARTH_REDIS_PASSWORD"),
            "mlflow": (not environment.get("HEARTH_MLFLOW_PASSWORD"), "HEARTH_MLFLOW_PASSWORD"),
            "predictions": (environment.get("HEARTH_API_REQUIRE_KEY", "").lower() != "true", "HEARTH_API_REQUIRE_KEY=true"),
            "page": (True, "a proxy that asks for a login"),
        }.items()
        if is_open
    }


def refusals(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield why a stack with these settings must not start.

    On a laptop, whose ports only its own user reaches, everything may. Where others reach them, secrets have to be strong; in production
    every service needs a login too, unless HEARTH_ALLOW_WITHOUT_LOGIN names it.
    """
    address = environment.get("HEARTH_BIND_ADDRESS", "127.0.0.1")
    is_production = environment["HEARTH_ENVIRONMENT"] == "production"
    if not is_production and address in _LOCAL_ADDRESSES:
        return
    where = "HEARTH_ENVIRONMENT is 'production'" if is_production else f"HEARTH_BIND_ADDRESS={address} opens the ports to others"
    if laptop := laptop_values(environment):
        yield f"{where}, but these still hold a laptop value: {', '.join(laptop)}. {_REMEDY}"
    if weak := weak_values(environment):
        yield f"{where}, but these can be guessed: {', '.join(f'{name} ({reason})' for name, reason in weak.items())}. {_REMEDY}"
    if is_production:
        yield from _refused_services(environment, where)


def _refused_services(environment: Mapping[str, str], where: str) -> Iterator[str]:
    allowed = set(re.split(r"[,\s]+", environment.get(ALLOWANCE, "").strip(", \t\n"))) - {""}
    without = services_without_login(environment)
    if unknown := allowed - {"valkey", "mlflow", "predictions", "page"}:
        yield f"{ALLOWANCE} names no service: {', '.join(sorted(unknown))}. It takes valkey, mlflow, predictions and page."
    if refused := {name: remedy for name, remedy in without.items() if name not in allowed}:
        named = ", ".join(f"{name} ({remedy})" for name, remedy in refused.items())
        yield (
            f"{where}, but these ask nobody for a login: {named}. Set what is in brackets, or allow it by name: "
            f'{ALLOWANCE}="{" ".join(sorted(allowed | refused.keys()))}".'
        )


def _secrets(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in the value of a setting."""
    if name == "HEARTH_API_KEYS":
        yield from (entry.rpartition(":")[2] for entry in value.split())
    elif _SECRET_NAME.fullmatch(name) and name not in FOREIGN_SECRETS:
        if value:
            yield value
    elif _URL_NAME.fullmatch(name) and "@" in value and (password := urlsplit(value).password):
        yield unquote(password)


def _is_laptop_value(name: str, value: str) -> bool:
    if (name, value) == LAPTOP_LOGIN or LAPTOP_SECRET in value:
        return True
    try:
        return LAPTOP_SECRET.encode() in base64.urlsafe_b64decode(value)  # Airflow's Fernet key
    except (binascii.Error, ValueError):
        return False
