"""What is written about a version when it is trained: pictures, the table of its groups, and its card."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from hearth.cards import Card, to_html, to_markdown
from hearth.cards.blocks import Section
from hearth.cards.card import (
    HTML_FILE,
    JSON_FILE,
    MARKDOWN_FILE,
    UNWRITABLE,
    Calibration,
    DataPart,
    FeaturePart,
    ImportancePart,
    TrainingPart,
    Use,
    approval_text,
)
from hearth.cards.html import MOST_PICTURE_BYTES
from hearth.cards.law import duties
from hearth.contracts import Contract
from hearth.contracts.origins import GENERATED
from hearth.data.chunked_cleaning import StoredColumns
from hearth.data.cleaning import Split
from hearth.data.profile import Profile, profile
from hearth.modelling.evaluation import Evaluation, reliability
from hearth.modelling.families import FAMILIES
from hearth.modelling.group_report import GroupReport, report_groups
from hearth.modelling.influence import Importance, explain_sample, measure_importances
from hearth.modelling.measures import measure
from hearth.modelling.partial_dependence import partial_dependence
from hearth.modelling.slices import SliceReport, find_slices
from hearth.registry import Registry, library_versions
from hearth.training.explanation_figures import draw_explanations
from hearth.training.figures import draw
from hearth.training.group_figures import draw_groups
from hearth.training.influence_figures import draw_influence

if TYPE_CHECKING:
    from hearth.jobs.train import Selection

_LOGGER = logging.getLogger(__name__)
GROUPS_TABLE, GROUPS_CSV = "groups.json", "groups.csv"
_DEPENDENCES = 4  # features with a partial dependence
_MOST_JSON_BYTES = 4_000_000


@dataclass(frozen=True)
class Report:
    """Pictures by name, further files of the run by name, and tables by the names of their files."""

    pictures: Mapping[str, bytes]
    files: Mapping[str, bytes]
    tables: Mapping[str, pd.DataFrame]


def write_report(  # noqa: PLR0913, PLR0917 - a version, and what it was made of
    contract: Contract,
    split: Split,
    pipeline: Pipeline,
    evaluation: Evaluation,
    selection: "Selection",
    revision: str,
    more: tuple[Section, ...] = (),
    *,
    fitted_rows: int,
) -> Report:
    """Describe a fitted pipeline by what the test set says of it; the test rows are looked at again, and nothing is chosen by them.

    `more` are further sections of the card; `fitted_rows` says how many of the train rows the pipeline was fitted on.
    """
    title = f"{contract.name}, {selection.family}, test set of data {selection.digest}"
    X, seed = split.X_test, selection.seed
    importances = measure_importances(contract, pipeline, X, evaluation.truth, seed=seed)
    explained = explain_sample(contract, pipeline, X, background=split.X_train, seed=seed)
    shown = [name for name in importances if not contract.columns[name].personal][:_DEPENDENCES]
    dependences = partial_dependence(contract, pipeline, split.X_train, shown, seed=seed)
    groups = report_groups(contract, split.described_test, evaluation.truth, evaluation.probabilities)
    slices = _slices(contract, split.described_test, evaluation, [*contract.group_columns, *importances])
    pictures = {
        **draw(evaluation, title),
        **draw_influence(importances, explained.mean_sizes(), contract.metric, contract.target.classes, title),
        **draw_explanations(contract, explained, dependences, slices, title),
        **draw_groups(groups, title),
    }
    card = _card(contract, split, evaluation, selection, importances, groups, slices, tuple(pictures), revision)
    card = replace(card, more=more, training=replace(card.training, fitted_rows=fitted_rows))
    table = groups.table()
    has_groups = bool(groups.groups)
    return Report(
        pictures=pictures,
        files={**card_files(card, pictures), **({GROUPS_CSV: table.to_csv(index=False).encode()} if has_groups else {})},
        tables={GROUPS_TABLE: table} if has_groups else {},
    )


def card_files(card: Card, pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a card by name; the page holds the pictures, PNG files by name."""
    return {JSON_FILE: card.to_json(), MARKDOWN_FILE: to_markdown(card).encode(), HTML_FILE: to_html(card, pictures)}


def update_card(registry: Registry, contract: Contract, version: str) -> None:
    """Write what has been decided about a version into the card that its run keeps; a version without a card of ours gets none."""
    registered = registry.version(contract.name, version)
    content = registry.run_files(registered, [JSON_FILE], _MOST_JSON_BYTES).get(JSON_FILE, b"")
    card = Card.from_json(content)
    if card is None:
        return
    paths = {f"figures/{name}": name for name in card.pictures}
    found = registry.run_files(registered, paths, MOST_PICTURE_BYTES)
    aliases = tuple(sorted(alias for alias, number in registry.aliases(contract.name).items() if number == registered.version))
    decided = card.as_registered(
        registered.version,
        aliases,
        tags=registered.tags,
        decision=registered.decision,
        standing=registered.standing,
        approval=approval_text(registered.approval, required=contract.gate.approval == "required", judged=registered.decision is not None),
    )
    try:
        files = card_files(decided, {paths[path]: picture for path, picture in found.items()})
    except UNWRITABLE as error:
        _LOGGER.warning("%s has a %s that is not its card: %s", registered, JSON_FILE, error)
        return
    registry.write_run_files(registered, files)


def _slices(contract: Contract, X: pd.DataFrame, evaluation: Evaluation, ranked: Sequence[str]) -> SliceReport:
    labels, truth, codes = contract.target.classes, evaluation.truth, evaluation.probabilities.argmax(axis=1)
    wrong = truth != codes

    def describe(rows: np.ndarray) -> str:
        """Name the most frequent mistake of some rows."""
        pairs, counts = np.unique(np.stack([truth, codes])[:, rows & wrong], axis=1, return_counts=True)
        true, predicted = pairs[:, counts.argmax()]
        return f"{labels[true]} taken for {labels[predicted]}: {counts.max()} of {counts.sum()} mistakes"

    return find_slices(contract, X, wrong, columns=ranked, level=contract.gate.level, describe=describe)


def _card(  # noqa: PLR0913, PLR0917 - the parts of a card
    contract: Contract,
    split: Split,
    evaluation: Evaluation,
    selection: "Selection",
    importances: Mapping[str, Importance],
    groups: GroupReport,
    slices: SliceReport,
    pictures: tuple[str, ...],
    revision: str,
) -> Card:
    words, metrics = contract.card, measure(evaluation, contract.gate.level)
    return Card(
        dataset=contract.name,
        family=selection.family,
        title=contract.title,
        description=contract.description,
        target=contract.target.column,
        classes=contract.target.classes,
        metric=contract.metric,
        level=contract.gate.level,
        made=datetime.now(UTC),
        use=Use(words.intended_use or "", words.not_for, words.oversight or "", words.contact or "", words.licence or ""),
        data=_data(contract, split, selection),
        features=tuple(_features(contract, _profile(contract, split, selection.digest))),
        metrics=metrics,
        confusion=tuple(tuple(row) for row in evaluation.confusion.tolist()),
        calibration=Calibration(metrics["calibration_error"], reliability(evaluation.truth, evaluation.probabilities)),
        groups=groups,
        importances=tuple(ImportancePart(name, part.mean, part.spread) for name, part in importances.items()),
        slices=slices,
        training=TrainingPart(
            params={name: str(value) for name, value in selection.params.items()},
            search={name: str(value) for name, value in selection.search.items()},
            cv_score=selection.cv_score,
            space=FAMILIES[selection.family].bounds(),
        ),
        limits=tuple(_limits(contract, split, selection, groups)),
        people=contract.concerns_people,
        sensitive=tuple(contract.sensitive),
        law=duties(contract),
        libraries=library_versions(),
        revision=revision,
        pictures=pictures,
        approval=approval_text(None, required=contract.gate.approval == "required", judged=False),
    )


def _data(contract: Contract, split: Split, selection: "Selection") -> DataPart:
    labels = contract.target.classes
    counts = [np.bincount(codes, minlength=len(labels)).tolist() for codes in (split.train_codes, split.y_test.to_numpy())]
    return DataPart(
        digest=selection.digest,
        address=selection.source,
        origin=selection.origin,
        collected=contract.card.source or "",
        period=contract.card.period or "",
        train_rows=len(split.train_codes),
        test_rows=len(split.X_test),
        train_classes=dict(zip(labels, counts[0], strict=True)),
        test_classes=dict(zip(labels, counts[1], strict=True)),
    )


def _profile(contract: Contract, split: Split, digest: str) -> Profile:
    """Describe all train rows, those on disk a column at a time."""
    stored = split.stored_train
    if stored is None:
        return profile(contract, split.X_train, split.y_train, digest)
    columns = StoredColumns(stored.path, contract.feature_names, len(stored))
    return profile(contract, cast("pd.DataFrame", columns), pd.Series(stored.y), digest)


def _features(contract: Contract, learnt: Profile) -> Iterator[FeaturePart]:
    for name in contract.feature_names:
        column, number = contract.columns[name], learnt.numbers.get(name)
        missing = number.missing_share if number else learnt.categories[name].missing_share
        part = FeaturePart(name, column.description, column.expected, bool(column.personal), name in contract.sensitive, missing)
        if column.personal:
            yield part
        elif number:
            yield replace(part, minimum=number.minimum, mean=number.mean, maximum=number.maximum)
        else:
            yield replace(part, shares=dict(learnt.categories[name].shares))


def _limits(contract: Contract, split: Split, selection: "Selection", groups: GroupReport) -> Iterator[str]:
    """Say what the figures cannot say; then what the contract adds."""
    yield f"Metrics are of {len(split.X_test):,} test rows from the same source as the train rows; other sources may give others."
    if selection.origin == GENERATED:
        yield "All rows were generated: nothing here holds for real ones."
    for column in contract.sensitive:
        found = [group for group in groups.groups if group.column == column]
        if not found:
            yield f"{column}: the test rows do not have this column, so whether its groups are treated alike cannot be told."
        elif not any(class_.recall.answer == "measured" for group in found for class_ in group.classes):
            yield f"{column}: no group has {groups.fewest} rows of a class: whether groups are treated alike cannot be told."
    yield "Contributions and importances say what the model uses, not what causes the class."
    yield from contract.card.limits
