"""Ask the REST service which version it serves."""

import logging

import httpx

from hearth.logs import about
from hearth.settings import DeploymentSettings

_LOGGER = logging.getLogger(__name__)
_SECONDS = 10


def has_service(settings: DeploymentSettings | None = None) -> bool:
    """Whether the settings name a REST service."""
    return bool((settings or DeploymentSettings()).api_url)


def is_served(dataset: str, alias: str, version: str, settings: DeploymentSettings | None = None) -> bool:
    """Whether the REST service serves this version under the alias; False, with a line in the log, if it does not answer."""
    url = (settings or DeploymentSettings()).api_url.rstrip("/")
    try:
        answer = httpx.get(f"{url}/{dataset}/model-info", params={"model": alias}, timeout=_SECONDS)
    except httpx.RequestError as error:
        _LOGGER.warning("%s does not answer (%s: %s). HEARTH_API_URL holds its address.", url, type(error).__name__, error)
        return False
    if not answer.is_success:
        _LOGGER.info(
            "%s serves no %s@%s yet: %d %s", url, dataset, alias, answer.status_code, answer.text, extra=about(dataset, alias=alias)
        )
        return False
    served = str(answer.json()["version"])
    _LOGGER.info(
        "%s serves version %s as %s@%s, expected %s",
        url,
        served,
        dataset,
        alias,
        version,
        extra=about(dataset, alias=alias, version=version),
    )
    return served == version
