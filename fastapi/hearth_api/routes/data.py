"""What the ETL published last, and records to try."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from hearth.contracts.airflow_names import ETL, dag_id
from hearth.errors import DataNotPublished
from hearth_api.schemas.data import DataInfo, SampleRecords
from hearth_api.schemas.data_builders import data_info, sample_records
from hearth_api.schemas.errors import ErrorBody
from hearth_api.state import Service, ServiceState

_MOST_RECORDS = 100
_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set, or nothing was published"},
    503: {"model": ErrorBody, "description": "The registry, which has the report, is away"},
}

router = APIRouter(tags=["data"])


@router.get("/datasets/{dataset}/data", summary="Describe the data that were published last", responses=_RESPONSES)
async def get_data(service: Service, dataset: str) -> DataInfo:
    """Rows read, rejected with reasons, and left out; how far columns have moved; class shares; a typical record. Asks the registry."""
    service.contract(dataset)
    return await to_thread.run_sync(read_data, service, dataset, limiter=service.data_threads)


@router.get("/datasets/{dataset}/samples", summary="Draw records to try", responses={404: _RESPONSES[404]})
async def get_samples(
    service: Service,
    dataset: str,
    count: Annotated[int, Query(ge=1, le=_MOST_RECORDS)] = 1,
    seed: Annotated[int | None, Query(ge=0, lt=2**32, description="The same seed gives the same records.")] = None,
) -> SampleRecords:
    """Generated records that could have been in the data: no row of the data is among them, but by chance. No server is asked."""
    contract = service.contract(dataset)
    return await to_thread.run_sync(sample_records, contract, service, count, seed)


def read_data(service: ServiceState, dataset: str) -> DataInfo:
    """Return what was published last; the registry may be asked.

    Raises:
        DataNotPublished: nothing was.
        RegistryError: the registry does not answer.
    """
    latest = service.published.latest(dataset)
    if latest is None:
        raise DataNotPublished(dataset, dag_id(service.contract(dataset), ETL))
    return data_info(service.contract(dataset), latest)
