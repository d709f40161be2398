"""What is put into the bucket as a raw file, and whether it is marked as generated."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from hearth.contracts import Contract
from hearth.data.raw_origin import origin_of
from hearth.jobs.provide_raw import provide
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support.sources import batch_contract
from tests.training.raw_rows import raw_csv


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    """A data set of the test's own, with statistics to generate rows from."""
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield batch_contract(tmp_path, f"data_{uuid4().hex}", source={"file": "rows.csv"})
    get_settings.cache_clear()


def test_without_a_file_rows_are_generated_and_marked(store: ObjectStore, contract: Contract) -> None:
    key = provide(contract.name, store=store)

    assert key == f"{contract.name}/raw/rows.csv"
    content = store.get(store.data_bucket, key)
    assert content.count(b"\n") == 15_001
    assert origin_of(store, contract, sha256(content).hexdigest()) == "generated"


def test_the_real_file_replaces_what_is_there_and_is_not_marked(store: ObjectStore, contract: Contract, tmp_path: Path) -> None:
    provide(contract.name, store=store)
    real = raw_csv(contract, 50)
    (tmp_path / contract.name / "rows.csv").write_bytes(real)

    key = provide(contract.name, store=store)

    assert store.get(store.data_bucket, key) == real
    assert origin_of(store, contract, sha256(real).hexdigest()) == "file"


def test_a_file_that_somebody_has_put_there_stays(store: ObjectStore, contract: Contract) -> None:
    mine = raw_csv(contract, 20)
    store.put(store.data_bucket, f"{contract.name}/raw/rows.csv", mine)

    key = provide(contract.name, store=store)

    assert store.get(store.data_bucket, key) == mine
    assert origin_of(store, contract, sha256(mine).hexdigest()) == "file"
