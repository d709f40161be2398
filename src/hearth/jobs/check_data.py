"""The step of the ETL that looks for what is suspicious in a raw file, and the same for a file of a person."""

import logging

import numpy as np

from hearth.contracts import Contract, load_contract
from hearth.data import processed
from hearth.data.checks import CheckedRows, CheckReport, Finding, check_rows
from hearth.data.csv_validation import LARGEST_UNPACKED, read_raw, validate
from hearth.data.profile import Profile
from hearth.data.stored_train import StoredTrain
from hearth.errors import SuspiciousData
from hearth.jobs.shift_check import find_reference
from hearth.jobs.work_folder import work_folder
from hearth.logs import about
from hearth.settings import MemorySettings
from hearth.storage import ObjectStore
from hearth.training.check_page import render_page
from hearth.training.check_pictures import draw_findings

_LOGGER = logging.getLogger(__name__)


def check_file(contract: Contract, content: bytes, source: str, max_bytes: int = LARGEST_UNPACKED) -> tuple[CheckReport, bytes]:
    """Check a raw file; missing values are compared with the committed statistics.

    Args:
        contract: Of the data set that the file is of.
        content: The file.
        source: What the report calls it.
        max_bytes: How large it may be once it is unpacked.

    Returns:
        The report, and the same as an HTML page.

    Raises:
        InvalidRawData: the file is no table of the contract's columns.
    """
    validated = validate(contract, read_raw(contract, content, source, max_bytes))
    return _check(CheckedRows.of(contract, validated.accepted, validated.lines), source, find_reference(contract, None)[1])


def check(dataset: str, validated_key: str, *, store: ObjectStore | None = None) -> str:
    """Check validated rows before they are processed, and write the report beside them; with `checks: {run: false}` nothing is done.

    Of more rows than memory holds (`HEARTH_ROWS_IN_MEMORY`) a sample is checked, which has all copies of a row or none.

    Returns:
        The key of the validated rows.

    Raises:
        SuspiciousData: there are findings of a level that the contract does not let pass (`checks.fail_on`).
    """
    contract, store = load_contract(dataset), store or ObjectStore.from_settings()
    if not contract.checks.run:
        return validated_key
    rows, source = _read(contract, store, validated_key)
    report, page = _check(rows, source, find_reference(contract, store)[1])
    store.put(store.data_bucket, f"{validated_key}.{processed.CHECK}", report.to_json())
    store.put(store.data_bucket, f"{validated_key}.{processed.CHECK_PAGE}", page)
    for finding in report.findings:
        _LOGGER.log(logging.INFO if finding.level == "info" else logging.WARNING, "%s: %s", dataset, finding, extra=about(dataset))
    if refused := _refused(contract, report):
        raise SuspiciousData(
            f"{dataset}: {len(refused)} findings that the contract does not let pass (checks.fail_on: {contract.checks.fail_on}): "
            f"{'; '.join(map(str, refused))} The report is s3://{store.data_bucket}/{validated_key}.{processed.CHECK_PAGE}."
        )
    return validated_key


def _read(contract: Contract, store: ObjectStore, validated_key: str) -> tuple[CheckedRows, str]:
    """Return validated rows, or a sample of them in their order, and what the report calls them."""
    lines = store.get_frame(store.data_bucket, f"{validated_key}{processed.LINES}")["line"].to_numpy(dtype=np.int64)
    most = MemorySettings().rows_in_memory
    if len(lines) <= most:
        return CheckedRows.of(contract, store.get_frame(store.data_bucket, validated_key), lines), validated_key
    with work_folder() as folder:
        path = folder / "validated.parquet"
        store.copy_to(store.data_bucket, validated_key, path)
        stored = StoredTrain.of(contract, path, np.zeros(len(lines), np.int64))  # the order of rows is that of their features alone
        sample = stored.sampled(most, copies_together=True)
        rows = CheckedRows.of(contract, sample.frame(), lines[sample.places])
    return rows, f"{validated_key}, a sample of {most:,} of its {len(lines):,} rows"


def _check(rows: CheckedRows, source: str, reference: Profile | None) -> tuple[CheckReport, bytes]:
    report = check_rows(rows, source, reference, rows.contract.checks.skip)
    try:
        pictures = draw_findings(rows, report)
    except Exception:  # odd values must not cost the ETL a picture; the findings are in the table
        _LOGGER.exception("%s: the findings could not be drawn", source)
        pictures = {}
    return report, render_page(report, pictures)


def _refused(contract: Contract, report: CheckReport) -> tuple[Finding, ...]:
    fail_on = contract.checks.fail_on
    return () if fail_on == "nothing" else report.at("stop") if fail_on == "stop" else report.at("stop", "warn")
