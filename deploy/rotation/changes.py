"""Which settings a rotation changes, and to what. Values are made here and printed nowhere."""

import re
from collections.abc import Callable, Iterable, Mapping

from deploy.compose.make_secrets import new_value
from deploy.rotation.catalogue import API_KEY, BY_NAME, HOLDERS, NEVER, Secret

_ADMIN_SCOPES = "admin+predict+read+feedback+alert"
_OLD = "-old"
_KEY = re.compile(r"(?:api:|HEARTH_API_KEYS:)(?P<name>[^:\s]+)")


class CannotRotate(Exception):
    """A secret cannot be rotated; the message names it, says why and what to do, and shows no value."""


def chosen(words: Iterable[str], settings: Mapping[str, str]) -> list[str]:
    """Return the names that somebody means: settings, `api:NAME` for a key of HEARTH_API_KEYS, or `all`.

    Secrets that are empty are off, and not among all.

    Raises:
        CannotRotate: there is no such secret, it is empty, or it must not be rotated.
    """
    names: dict[str, None] = {}
    for word in words:
        if word == "all":
            keys = (f"api:{name}" for name in _keys(settings) if not name.endswith(_OLD))
            names |= dict.fromkeys([*(name for name in BY_NAME if settings.get(name)), *keys])
        elif found := _KEY.fullmatch(word):
            if found["name"] not in _keys(settings):
                raise CannotRotate(f"HEARTH_API_KEYS has no key {found['name']!r}; it has: {', '.join(_keys(settings)) or 'none'}.")
            names[f"api:{found['name']}"] = None
        else:
            name = word.upper() if word.upper().startswith("HEARTH_") else f"HEARTH_{word.upper()}"
            if name in NEVER:
                raise CannotRotate(f"{name} is not rotated: {NEVER[name]}.")
            if name not in BY_NAME:
                raise CannotRotate(f"There is no secret {word!r}: `hearth secrets list` shows those that can be rotated.")
            if not settings.get(name):
                raise CannotRotate(f"{name} is empty, so its login is off: `make secrets` writes a first value.")
            names[name] = None
    return list(names)


def secret_of(name: str) -> Secret:
    """Return what is known about a name that `chosen` returned."""
    return API_KEY if name.startswith("api:") else BY_NAME[name]


def new_settings(names: Iterable[str], settings: Mapping[str, str], make: Callable[[str], str] = new_value) -> dict[str, str]:
    """Return the settings that change, with their new values, for names that `chosen` returned.

    Raises:
        CannotRotate: an API key has an older value that is still accepted.
    """
    changed: dict[str, str] = {}
    for name in names:
        if name.startswith("api:"):
            changed |= _replace_key(name.removeprefix("api:"), {**settings, **changed}, make("HEARTH_API_KEY"))
        elif name == "HEARTH_API_ADMIN_KEY":
            old = {**settings, **changed}
            _refuse_second("admin", _keys(old))
            entries = [*old.get(API_KEY.name, "").split(), f"admin{_OLD}:{_ADMIN_SCOPES}:{settings[name]}"]
            secret = make(name)
            changed |= {name: secret, API_KEY.name: " ".join(entries), **_holders(old, settings[name], secret)}
        elif name == "HEARTH_MODEL_SIGNING_KEY":
            changed[name] = " ".join([make(name), *settings[name].split()])  # the first signs, all verify
        else:
            changed[name] = make(name)
    return changed


def retired_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that change when older API keys and signing keys hold no longer; none if there are none."""
    changed = {}
    keys = _keys(settings)
    if any(name.endswith(_OLD) for name in keys):
        changed[API_KEY.name] = " ".join(entry for name, entry in keys.items() if not name.endswith(_OLD))
    if len(signing := settings.get("HEARTH_MODEL_SIGNING_KEY", "").split()) > 1:
        changed["HEARTH_MODEL_SIGNING_KEY"] = signing[0]
    return changed


def restarted(names: Iterable[str], changed: Mapping[str, str]) -> list[str]:
    """Return the services that have to start again, each once: first those that check a secret, last Valkey, which takes both values."""
    services: dict[str, None] = {}
    for name in names:
        services |= dict.fromkeys(secret_of(name).restarted)
    for name, readers in HOLDERS.items():
        if name in changed:
            services |= dict.fromkeys(readers)
    order = {"minio": 0, "mlflow": 1, "valkey": 3}
    return sorted(services, key=lambda service: order.get(service, 2))


def _keys(settings: Mapping[str, str]) -> dict[str, str]:
    return {entry.partition(":")[0]: entry for entry in settings.get(API_KEY.name, "").split()}


def _refuse_second(name: str, keys: Mapping[str, str]) -> None:
    if f"{name}{_OLD}" in keys:
        raise CannotRotate(f"The key {name!r} was rotated before, and its old value still holds: `hearth secrets retire` first.")


def _replace_key(name: str, settings: Mapping[str, str], secret: str) -> dict[str, str]:
    keys = _keys(settings)
    _refuse_second(name, keys)
    _, scopes, old = keys[name].split(":", 2)
    entries = {**keys, name: f"{name}:{scopes}:{secret}", f"{name}{_OLD}": f"{name}{_OLD}:{scopes}:{old}"}
    return {API_KEY.name: " ".join(entries.values()), **_holders(settings, old, secret)}


def _holders(settings: Mapping[str, str], old: str, secret: str) -> dict[str, str]:
    """Return the new value of each setting that holds the old secret of a key: whoever uses the key gets the new one."""
    return {holder: secret for holder in HOLDERS if settings.get(holder) == old}
