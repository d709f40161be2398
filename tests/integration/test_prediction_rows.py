"""Predictions as lines of COPY, as a real PostgreSQL understands them."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from hearth.predictions import Prediction, PredictionBlock, PredictionStore, StoredParts
from hearth.predictions.migration import migrate
from hearth.predictions.rows import line

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(["\\N", "\\.", "a\tb", "a\nb\r", "\\"])
VALUES = st.none() | TEXTS | st.floats(-1e15, 1e15) | st.integers(-(2**53), 2**53)
BLOCK = PredictionBlock(
    dataset="employees",
    alias="champion",
    version="3",
    family="knn",
    classes=("Low", "Medium", "High"),
    scored_at=NOON,
    message_ids=["1-0", "1-0", "2-0"],
    rows=[0, 1, 0],
    enqueued_at=[NOON - timedelta(seconds=2), NOON - timedelta(seconds=2), None],
    records=[{"Gender": "Female", "Sleep Hours": 7.25}, {"Gender": None, "Sleep Hours": 7}, {"Gender": "Male", "Sleep Hours": None}],
    codes=np.array([2, 0, 1]),
    probabilities=np.array([[0.1, 0.2, 0.7], [1.0, 0.0, 0.0], [1e-17, 0.5, 0.4999999999999999]]),
)


def spelt_out(block: PredictionBlock) -> list[Prediction]:
    same = block.dataset, block.alias, block.version, block.family
    each = zip(
        block.message_ids, block.rows, block.codes.tolist(), block.probabilities.tolist(), block.records, block.enqueued_at, strict=True
    )
    return [
        Prediction(id_, row, *same, code, block.classes[code], tuple(chances), dict(record), at, block.scored_at, block.source, block.role)
        for id_, row, code, chances, record, at in each
    ]


@pytest.fixture(scope="module")
def database(postgres_url: str) -> str:
    migrate(postgres_url)
    return postgres_url


def empty(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE predictions")


@pytest.fixture
def store(database: str) -> Iterator[PredictionStore]:
    empty(database)
    with PredictionStore(database) as store:
        yield store


def test_a_block_is_stored_as_its_predictions_are(store: PredictionStore) -> None:
    assert list(BLOCK.lines()) == [line(one) for one in spelt_out(BLOCK)]

    assert store.put_lines(list(BLOCK.lines())) == 3

    assert list(store.since()) == spelt_out(BLOCK)


PARTS = StoredParts(
    members=np.array([[False, True, True], [True, False, False], [False, True, True]]),
    scores=np.array([0.25, 1.0, 0.9951]),
    unusual=np.array([False, True, True]),
)


def test_sets_and_what_is_unusual_come_back(store: PredictionStore) -> None:
    block = replace(BLOCK, parts=PARTS)
    expected = [
        replace(one, label_set=labels, unusual_score=score, is_unusual=unusual)
        for one, labels, score, unusual in zip(
            spelt_out(BLOCK),
            [("Medium", "High"), ("Low",), ("Medium", "High")],
            [0.25, 1.0, 0.9951],
            [False, True, True],
            strict=True,
        )
    ]
    assert list(block.lines()) == [line(one) for one in expected]

    store.put_lines(list(block.lines()))

    assert list(store.since()) == expected


@pytest.mark.parametrize("known", ["members", "scores"])
def test_a_version_may_know_one_of_the_two(store: PredictionStore, known: str) -> None:
    parts = StoredParts(members=PARTS.members) if known == "members" else replace(PARTS, members=None)
    store.put_lines(list(replace(BLOCK, parts=parts).lines()))
    assert {(one.label_set is None, one.unusual_score is None, one.is_unusual is None) for one in store.since()} == {
        (known != "members", known == "members", known == "members")
    }


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(TEXTS, min_size=1, max_size=12, unique=True), seed=st.integers(0, 9))
def test_labels_of_a_set_come_back_whatever_they_hold(store: PredictionStore, database: str, labels: list[str], seed: int) -> None:
    members = np.random.default_rng(seed).random((2, len(labels))) < 0.7
    block = replace(
        BLOCK,
        classes=tuple(labels),
        message_ids=["1-0", "2-0"],
        rows=[0, 0],
        enqueued_at=[None, None],
        records=[{}, {}],
        codes=np.array([0, 0]),
        probabilities=np.zeros((2, len(labels))),
        parts=StoredParts(members=members),
    )
    empty(database)

    store.put_lines(list(block.lines()))

    assert [one.label_set for one in store.since()] == [tuple(labels[place] for place in np.flatnonzero(row)) for row in members]


def test_rows_that_were_stored_before_the_columns_were_have_null_there(fresh_database: str) -> None:
    config = Config()
    config.set_main_option("script_location", "hearth.predictions:migrations")
    before = ScriptDirectory.from_config(config).get_revision("0004").down_revision
    engine = create_engine(make_url(fresh_database).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, str(before))
        connection.execute(
            text(
                "INSERT INTO predictions (message_id, row, dataset, alias, version, family, code, label, probabilities, record, scored_at)"
                " VALUES ('1-0', 0, 'employees', 'champion', '3', 'knn', 0, 'Low', '{1}', '{}', :at)"
            ),
            {"at": NOON},
        )

    migrate(fresh_database)

    with PredictionStore(fresh_database) as store:
        assert list(store.since()) == [Prediction("1-0", 0, "employees", "champion", "3", "knn", 0, "Low", (1.0,), {}, None, NOON)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(TEXTS, min_size=6, max_size=6), record=st.dictionaries(TEXTS, VALUES, max_size=4), chances=st.floats(0, 1))
def test_whatever_a_text_holds_it_comes_back(
    store: PredictionStore, database: str, names: list[str], record: dict[str, object], chances: float
) -> None:
    id_, dataset, alias, version, family, label = names
    one = Prediction(id_, 0, dataset, alias, version, family, 0, label, (chances,), record, None, NOON)
    block = PredictionBlock(
        dataset, alias, version, family, (label,), NOON, [id_], [1], [None], [record], np.array([0]), np.array([[chances]])
    )
    empty(database)

    store.put_lines([line(one), *block.lines()])

    assert store.of_message(id_) == [one, replace(one, row=1)]


def test_an_empty_block_has_no_lines() -> None:
    nothing = replace(
        BLOCK, message_ids=[], rows=[], enqueued_at=[], records=[], codes=np.empty(0, np.intp), probabilities=np.empty((0, 3))
    )

    assert list(nothing.lines()) == []


def test_lines_of_which_some_are_stored_already_add_only_the_others(store: PredictionStore) -> None:
    lines = list(BLOCK.lines())
    store.put_lines(lines[1:2])
    other = replace(BLOCK, version="4")

    assert store.put_lines(list(other.lines())) == 2

    assert [found.version for found in store.since()] == ["4", "3", "4"]


def test_two_writers_of_overlapping_lines_store_each_once(store: PredictionStore) -> None:
    """As when a message is taken over from a worker that is slow, not dead."""
    lines = [line(replace(spelt_out(BLOCK)[0], message_id=f"{number}-0")) for number in range(2_000)]
    new: list[int] = []
    parts = (lines[:1_200], lines[::-1][:1_200], lines[400:1_600])
    threads = [threading.Thread(target=lambda part=part: new.append(store.put_lines(part))) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(new) == 2_000
    assert len({found.message_id for found in store.since()}) == 2_000
