"""The HTTP API that hands out batches.

`GET <path>?group_number=N` is answered with `{"group_number": N, "batch_number": b, "data": [row, …]}`, and with 400 when there is none.
A source whose rows are made up says so: `"generated": true`.
"""

from dataclasses import dataclass

import httpx

from hearth.contracts import Contract
from hearth.data.ingest.batches import Batch, parse_batch
from hearth.errors import InvalidBatch, SourceRefused, SourceUnavailable

_LONGEST_SHOWN = 200
_TRY_LATER = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class Exhausted:
    """The source says that there is no batch for this group (400); `reason` is how it says it."""

    reason: str


class BatchApi:
    """Hands out the batches of one group of one data set."""

    def __init__(self, base_url: str, contract: Contract, path: str, group: int, timeout_seconds: float = 60) -> None:
        self.address = f"{base_url.rstrip('/')}{path}?group_number={group}"
        self._contract = contract
        self._group = group
        self._timeout = httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, 5))

    def fetch(self) -> Batch | Exhausted:
        """Ask for the batch that is handed out now; it may be one that was handed out before.

        Raises:
            SourceUnavailable: the source does not answer, or not to the end: asking again may help.
            SourceRefused: the source answers with an error that asking again does not mend.
            InvalidBatch: the answer is no batch of this group with the contract's columns.
        """
        try:
            answer = httpx.get(self.address, timeout=self._timeout, follow_redirects=True)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise SourceRefused(f"The source {self.address} cannot be asked: {error} HEARTH_BATCH_API_URL says where it is.") from error
        except httpx.RequestError as error:
            raise SourceUnavailable(
                f"The source {self.address} does not answer, or not to the end ({type(error).__name__}: {error}): is it running there? "
                "HEARTH_BATCH_API_URL says where it is looked for."
            ) from error
        answer_text = f"{answer.status_code}: {_detail(answer)}"
        if answer.status_code == httpx.codes.BAD_REQUEST:
            return Exhausted(answer_text)
        if answer.status_code in _TRY_LATER or answer.is_server_error:
            raise SourceUnavailable(f"The source {self.address} failed with {answer_text}")
        if not answer.is_success:
            raise SourceRefused(f"The source {self.address} refused with {answer_text}")
        batch = parse_batch(self._contract, answer.content, self.address)
        if batch.group != self._group:
            raise InvalidBatch(f"{self.address} handed out {batch}: expected group {self._group}.")
        return batch


def _detail(answer: httpx.Response) -> str:
    """Return what the source said: FastAPI's `detail` if there is one."""
    try:
        content = answer.json()
    except ValueError:
        content = None
    detail = content.get("detail") if isinstance(content, dict) else None
    return str(detail or answer.text or answer.reason_phrase)[:_LONGEST_SHOWN]
