"""From a table without a contract to a draft of one. Pure: a frame of texts in, a draft out."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import yaml

from hearth.contracts.drafting import rendering
from hearth.contracts.drafting.columns import ColumnDraft, draft_column
from hearth.contracts.drafting.names import column_names, dataset_name, is_dataset_name, split_unit
from hearth.contracts.drafting.raw_table import RawTable
from hearth.contracts.drafting.target import draft_target, gives_target_away
from hearth.contracts.model import Contract
from hearth.contracts.texts import MISSING
from hearth.errors import InvalidRawData

_FEW_NULLS = 0.95  # the share of the rows that cleaning.max_nulls should keep


@dataclass(frozen=True)
class Draft:
    """A contract that loads as it is, the README that belongs to it, and the rows as the ETL reads them.

    `renamed` maps the file's names to other ones where Hearth cannot have them. `decisions` counts the comments that ask a person.
    `is_as_read`: the ETL reads the file as it is, so that it need not be written anew.
    """

    contract: Contract
    contract_yaml: str
    readme: str
    rows: pd.DataFrame
    renamed: dict[str, str]
    notes: Sequence[str]
    decisions: int
    is_as_read: bool


def draft_contract(table: RawTable, name: str, target: str | None = None) -> Draft:
    """Draft the contract of a table of texts, in which an empty text and the ETL's words for it mean a missing value.

    Without `target` the column with a usual name for one, or the last that can be one, is predicted.

    Raises:
        InvalidRawData: the table has no column that can be predicted, or none to predict it from; the message says why.
    """
    frame = table.frame
    if not is_dataset_name(name):
        raise InvalidRawData(f"A data set cannot be called {name!r}: lower case letters, digits and _, such as {dataset_name(name)!r}.")
    if frame.shape[1] < 2:  # noqa: PLR2004 - a feature and the target
        raise InvalidRawData(f"A data set needs two columns or more, a feature and the target; {table.file} has {frame.shape[1]}.")
    header = [str(cell).strip() for cell in frame.columns]
    names = column_names(header)
    columns = [draft_column(column, frame.iloc[:, at], decimal_comma=table.decimal_comma) for at, column in enumerate(names)]
    for column, unit in zip(columns, (split_unit(cell)[1] for cell in header), strict=True):
        column.unit = unit
    if target is not None and target not in names and target in header:
        target = names[header.index(target)]
    goal = draft_target(columns, target)
    features = [column for column in columns if column is not goal.column]
    for column in features:
        if not column.drop and gives_target_away(column, goal):
            column.drop = f"alone it gives {goal.column.name!r} away"
            column.decisions.append("is it the target in other words, or only measured afterwards? If it is neither, remove it from drop")
    if all(column.drop for column in features):
        reasons = "; ".join(f"{column.name}: {column.drop}" for column in features)
        raise InvalidRawData(f"No column is left to predict {goal.column.name!r} from. {reasons}.")

    rows = pd.DataFrame({column.name: column.texts for column in columns})
    renamed = {old: column.name for old, column in zip(header, columns, strict=True) if old != column.name}
    draft = rendering.ContractDraft(
        name=name,
        file=table.file,
        columns=columns,
        target=goal,
        target_was_named=target is not None,
        max_nulls=_max_nulls(features),
        duplicates=_duplicates(rows, columns),
        notes=(*table.notes, *(f"{old!r} is called {new!r}" for old, new in renamed.items())),
    )
    text = rendering.contract_text(draft)
    contract = Contract.model_validate(yaml.safe_load(text))
    return Draft(
        contract=contract,
        contract_yaml=text,
        readme=rendering.readme_text(draft, contract),
        rows=rows,
        renamed=renamed,
        notes=draft.notes,
        decisions=text.count(rendering.DECIDE),
        is_as_read=not draft.notes and all(_is_unchanged(column, frame.iloc[:, at]) for at, column in enumerate(columns)),
    )


def _is_unchanged(column: ColumnDraft, cells: pd.Series) -> bool:
    stripped = cells.str.strip()
    return bool(((column.texts == stripped) | (column.missing & stripped.isin(MISSING))).all())


def _max_nulls(features: Sequence[ColumnDraft]) -> int:
    """Return how many features of a row may be missing so that nearly all rows are kept."""
    nulls = pd.concat([column.missing for column in features if not column.drop], axis=1).sum(axis=1)
    return max(1, int(nulls.quantile(_FEW_NULLS, interpolation="higher")))


def _duplicates(rows: pd.DataFrame, columns: Sequence[ColumnDraft]) -> int:
    return int(rows[[column.name for column in columns if not column.drop]].duplicated().sum())
