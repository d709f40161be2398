"""Processed data from labelled served records: what a retraining trains on, as the ETL would have written it.

There are two. `window` holds the labelled records alone; `mixture` has the train set that was published last beside them, at equal total
weight. Both hold the same newest records out as their test set. The profile of both is that of the window, since that is what will be
served: the monitor compares with it.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from hearth.contracts import Contract
from hearth.contracts.loading import contract_path
from hearth.contracts.origins import GENERATED, SERVED
from hearth.data import processed
from hearth.data.cleaning import Split, digest, target_codes
from hearth.data.processed import Manifest, ServedPart
from hearth.data.profile import profile
from hearth.errors import ObjectNotFound, UntrainableData
from hearth.jobs.etl import EtlReport, Validation, etl_parameters, report_json
from hearth.logs import about
from hearth.monitoring.labelled_rows import HELD_OUT_COPY, REJECTED, LabelledRecord, LabelledRows, labelled_rows, mixed, split_by_time
from hearth.storage import ObjectStore
from hearth.training.folds import FOLDS, require_different_rows

Way = Literal["window", "mixture"]
WAYS: tuple[Way, ...] = get_args(Way)
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetrainData:
    """The digest of each way that can be trained on, why others cannot, and the keys of the records that went in."""

    digests: Mapping[Way, str]
    problems: Mapping[Way, str]
    keys: tuple[tuple[str, int], ...]


def write_retrain_data(contract: Contract, store: ObjectStore, records: Sequence[LabelledRecord]) -> RetrainData:
    """Write the processed data of both ways. The same records give the same digests, and what is there already is not written again.

    Raises:
        UntrainableData: too few rows are left to hold some out, or a class has too few, and there is no reference to add.
    """
    rows = labelled_rows(contract, records)
    if len(rows) <= contract.retrain.held_out:
        codes = target_codes(contract, rows.frame[contract.target.column])
        counts = {label: int((codes == code).sum()) for code, label in enumerate(contract.target.classes)}
        rule = f"rows, and {contract.retrain.held_out} in all beside those that train (retrain.held_out)"
        raise UntrainableData(contract.name, counts, FOLDS, rows=rule)
    window, copies = split_by_time(contract, rows, contract.retrain.held_out)
    splits: dict[Way, Split] = {"window": window}
    problems: dict[Way, str] = {}
    reference = _reference(contract, store)
    if reference is None:
        problems["mixture"] = "nothing was published that could be added"
    else:
        splits["mixture"] = mixed(window, reference[1])
    digests: dict[Way, str] = {}
    for way in WAYS:
        if way not in splits:
            continue
        try:
            require_different_rows(contract, splits[way].X_train, splits[way].y_train, at_least=FOLDS)
        except UntrainableData as error:
            problems[way] = str(error)
            continue
        added = reference[0] if reference and way == "mixture" else None
        digests[way] = _write(contract, store, window, splits[way], rows, copies, added)
    if not digests:
        raise UntrainableData(contract.name, _counts(contract, window), FOLDS)
    for way, problem in problems.items():
        _LOGGER.warning("%s: no data of the way %r: %s", contract.name, way, problem, extra=about(contract.name))
    return RetrainData(digests, {way: problems[way] for way in WAYS if way in problems}, rows.keys)


def digest_of_keys(keys: Sequence[tuple[str, int]]) -> str:
    """Return the SHA-256 of message ids and rows, in their order."""
    return hashlib.sha256(json.dumps([[message_id, row] for message_id, row in keys]).encode()).hexdigest()


def _reference(contract: Contract, store: ObjectStore) -> tuple[Manifest, Split] | None:
    """Return the data that the ETL published last; None without any."""
    try:
        name = processed.latest_digest(store, contract.name)
        return processed.read_manifest(store, contract.name, name), processed.load_processed(store, contract.name, name)
    except ObjectNotFound:
        return None


def _write(  # noqa: PLR0913, PLR0917 - what processed data are made of
    contract: Contract, store: ObjectStore, window: Split, parts: Split, rows: LabelledRows, copies: int, reference: Manifest | None
) -> str:
    name = digest(parts)
    if processed.is_whole(store, contract.name, name):
        return name
    learnt = profile(contract, window.X_train, window.y_train, name)
    rejected = rows.dropped[REJECTED]
    source = f"labelled records that were served from {rows.scored_at[0]:%Y-%m-%d %H:%M:%S} to {rows.scored_at[-1]:%Y-%m-%d %H:%M:%S} UTC"
    validation = Validation(source, len(rows) + sum(rows.dropped.values()), len(contract.feature_names) + 1, rejected, SERVED)
    missing = {str(name): int(count) for name, count in rows.frame.isna().sum().items()}
    report = EtlReport(
        dataset=contract.name,
        digest=name,
        validation=validation,
        dropped={**{reason: count for reason, count in rows.dropped.items() if reason != REJECTED}, HELD_OUT_COPY: copies},
        missing_before=missing,
        missing_after=missing,
        train_rows=len(parts.X_train),
        test_rows=len(parts.X_test),
        means={name: number.mean for name, number in learnt.numbers.items()},
        stds={name: number.std for name, number in learnt.numbers.items()},
        parameters=etl_parameters(contract, validation, reference.digest if reference else ""),
    )
    processed.write_split(store, contract.name, name, parts)
    texts = {
        processed.PROFILE: learnt.to_json(),
        processed.REPORT: report_json(report),
        processed.CONTRACT: contract_path(contract.name).read_bytes(),
    }
    for file, content in texts.items():
        store.put(store.processed_bucket, processed.processed_key(contract.name, name, file), content)
    served = ServedPart(rows.scored_at[0], rows.scored_at[-1], len(rows), digest_of_keys(rows.keys), reference.digest if reference else "")
    origin = GENERATED if reference and reference.origin == GENERATED else SERVED
    processed.write_manifest(store, Manifest(contract.name, name, report.train_rows, report.test_rows, origin, served))
    return name


def _counts(contract: Contract, window: Split) -> dict[str, int]:
    return {label: int((window.y_train == code).sum()) for code, label in enumerate(contract.target.classes)}
