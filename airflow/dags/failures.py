"""Which errors a task need not be retried for."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from hearth.errors import InvalidContract, InvalidModelParams, InvalidRawData, ObjectNotFound, SourceRefused, TableMismatch, UntrainableData

_PERMANENT = (InvalidContract, InvalidModelParams, InvalidRawData, ObjectNotFound, SourceRefused, TableMismatch, UntrainableData)


@contextmanager
def no_retry_for_wrong_data() -> Iterator[None]:
    """Fail the task at once if the data are to blame: the same bytes fail again. Servers that are away are worth another try."""
    try:
        yield
    except _PERMANENT as error:
        raise AirflowFailException(str(error)) from error
