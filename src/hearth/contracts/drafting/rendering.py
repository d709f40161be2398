"""A drafted contract as YAML with comments, and the README with the table that belongs to it."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yaml

from hearth.contracts.drafting.columns import ColumnDraft, number_text
from hearth.contracts.drafting.target import TargetDraft
from hearth.contracts.model import Contract, Split

DECIDE = "# decide: "
_PLAIN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*")
_MANY_ROWS = 20_000
_RARE_SHARE = 0.1


@dataclass(frozen=True)
class ContractDraft:
    """All that a draft says."""

    name: str
    file: str
    columns: Sequence[ColumnDraft]
    target: TargetDraft
    target_was_named: bool
    max_nulls: int
    duplicates: int
    notes: Sequence[str]

    @property
    def dropped(self) -> list[ColumnDraft]:
        return [column for column in self.columns if column.drop and column is not self.target.column]


def contract_text(draft: ContractDraft) -> str:
    """Return the contract as YAML, with a comment wherever a person has to decide."""
    target, rows = draft.target, len(draft.target.positions)
    lines = [
        f"# A draft, made from {rows:,} rows of {_one_line(draft.file)}. It loads as it is; each comment `decide` is for a person.",
        *(f"# {_one_line(note)}" for note in draft.notes),
        f"name: {draft.name}",
        f"title: {_text(draft.name.replace('_', ' ').capitalize())} {DECIDE}the question that a prediction answers",
        f"description: {_text(f'Drafted from {draft.file}')} {DECIDE}where the rows come from, and what one row is",
        f"source: {{file: {draft.name}.csv}}",
        "target:",
        f"  column: {_text(target.column.name)}" + ("" if draft.target_was_named else f" {DECIDE}is this what should be predicted?"),
    ]
    if target.cuts:
        lines.append(f"  cuts: [{', '.join(map(number_text, target.cuts))}]")
    lines += [_classes(target), *_rare_classes(target)]
    lines.append(f"metric: macro_f1 {DECIDE}accuracy, if errors in a rare class count no more than others")
    if min(target.counts.values()) < _RARE_SHARE * sum(target.counts.values()):
        lines.append(f"imbalance: class_weights {DECIDE}a class has less than a tenth of the rows; none: rows count alike")
    families = "lightgbm, random_forest, logistic_regression" + (", knn, svm" if rows < _MANY_ROWS else "")
    lines.append(f"families: [{families}] {DECIDE}which are worth their time")
    if draft.dropped:
        lines.append("drop:")
        lines += [f"  - {_text(column.name)} # {_one_line(column.drop)}" for column in draft.dropped]
    lines.append("cleaning:")
    lines.append(f"  max_nulls: {draft.max_nulls} # a row with more missing features is dropped")
    lines.append(f"  drop_duplicates: true # {draft.duplicates:,} rows are copies of others")
    lines.append("# Ranges are those of the rows, a tenth of the span wider: decide what is possible. A record outside them is refused.")
    lines.append("columns:")
    for column in draft.columns:
        lines += _column(column, is_target=column is target.column)
    return "\n".join(lines) + "\n"


def readme_text(draft: ContractDraft, contract: Contract) -> str:
    """Return the README: a place for the source and the licence, and a row for each column as the contract describes it."""
    lines = [
        f"# {contract.name}: {contract.title}",
        "",
        f"Drafted from `{_one_line(draft.file)}`. Say here where the rows come from, who may use them for what, and what one row is.",
        "[`contract.yaml`](contract.yaml) is what everything else is derived from; this table says it in words.",
        "",
        "| column | role | a value is | meaning |",
        "|---|---|---|---|",
    ]
    for name, column in contract.columns.items():
        role = "target" if name == contract.target.column else "dropped" if name in contract.drop else "feature"
        expected = column.expected + (", may be missing" if column.nullable else "")
        lines.append(f"| {name} | {role} | {expected} | {column.description} |")
    notes = [*draft.notes, *(f"{column.name}: {note}" for column in draft.columns for note in column.notes)]
    if notes:
        lines += ["", "## The file", "", *(f"- {_one_line(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def _classes(target: TargetDraft) -> str:
    names = [_text(name) for name in target.classes]
    if isinstance(next(iter(target.column.categories), None), int):
        pairs = ", ".join(f"{code}: {name}" for code, name in zip(target.column.categories, names, strict=True))
        return f"  classes: {{{pairs}}} {DECIDE}name each class"
    return f"  classes: [{', '.join(names)}]"


def _rare_classes(target: TargetDraft) -> Iterable[str]:
    needed = math.ceil(1 / Split().test_share)
    rare = [f"{name!r} {count}" for name, count in target.counts.items() if count < needed]
    if rare:
        yield f"  {DECIDE}the ETL needs {needed} distinct rows of each class: {', '.join(rare)}. Join rare classes, or find more rows"


def _column(column: ColumnDraft, *, is_target: bool) -> Iterable[str]:
    yield f"  {_text(column.name)}:"
    yield from (f"    # {_one_line(note)}" for note in column.notes)
    yield from (f"    {DECIDE}{_one_line(decision)}" for decision in column.decisions)
    yield f"    kind: {column.kind}"
    if column.kind == "category":
        yield f"    categories: {_categories(column.categories, is_target=is_target)}"
    elif column.kind in {"integer", "number"}:
        yield f"    minimum: {number_text(column.minimum)}"
        yield f"    maximum: {number_text(column.maximum)}"
        yield f"    unit: {_text(column.unit)}" if column.unit else f"    unit: units {DECIDE}of what"
    if column.nullable:
        yield f"    nullable: true # missing in {int(column.missing.sum()):,} of {len(column.texts):,} rows"
    yield f"    description: {_text(column.name)} {DECIDE}what it says"


def _categories(categories: Sequence[str | int], *, is_target: bool) -> str:
    if isinstance(categories[0], str):
        return "[" + ", ".join(_text(str(category)) for category in categories) + "]"
    if is_target:
        return f"{list(categories)}"
    return "{" + ", ".join(f'{code}: "{code}"' for code in categories) + f"}} {DECIDE}say what each code means"


def _text(text: str) -> str:
    """Return a text as YAML reads it back: in quotes unless every reader takes it for a text."""
    if _PLAIN_TEXT.fullmatch(text) and text == text.strip() and yaml.safe_load(text) == text and text.lower() not in {"y", "n"}:
        return text
    return yaml.safe_dump(text, default_style='"', width=math.inf, allow_unicode=True).rstrip("\n")


def _one_line(text: str) -> str:
    """Return a text without what a YAML comment cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
