"""The employees' contract, and a record that keeps a contract."""

from pathlib import Path

from hearth.contracts import Contract, load_contract
from hearth.contracts.examples import example_record

DATA = Path(__file__).parents[2] / "data"


def employees() -> Contract:
    return load_contract("employees", DATA)


def good_record(contract: Contract, **changes: object) -> dict[str, object]:
    """Return a record in the middle of every range."""
    return {**example_record(contract), **changes}


ODD_NAMES = """
name: in
title: Names that other systems have rules about
description: Keywords, signs, other alphabets, and pairs that differ little
source: {file: in.csv}
target: {column: "Ends at $", classes: {a: "<=50K", b: ">50K", c: "$1_to_$2", d: _rest}}
metric: macro_f1
families: [knn]
columns:
  Q1_1: {kind: number, minimum: 0, maximum: 1, unit: u, nullable: true, description: d}
  Q11: {kind: number, minimum: 0, maximum: 100, unit: u, description: d}
  class: {kind: integer, minimum: 0, maximum: 9, unit: u, description: d}
  Return: {kind: number, minimum: 0, maximum: 9, unit: u, description: d}
  Größe: {kind: number, minimum: 0, maximum: 9, unit: u, description: d}
  年龄: {kind: number, minimum: 0, maximum: 9, unit: u, description: d}
  Price (k$): {kind: number, minimum: 0, maximum: 200, unit: k$, description: d}
  a//b: {kind: number, minimum: 0, maximum: 9, unit: u, description: d}
  "?": {kind: category, categories: ["12:30", "$"], description: d}
  "Ends at $": {kind: category, categories: [a, b, c, d], description: d}
"""
"""A contract whose names are hard on everything that is made from them."""
ODD_RECORD = {
    "Q1_1": 0.5,
    "Q11": 50.0,
    "class": 7,
    "Return": 1.5,
    "Größe": 2.5,
    "年龄": 3.5,
    "Price (k$)": 120.0,
    "a//b": 4.5,
    "?": "12:30",
}


def write_contract(data_dir: Path, text: str = ODD_NAMES) -> Contract:
    """Write a contract into a data folder and read it."""
    name = text.strip().removeprefix("name: ").partition("\n")[0]
    (data_dir / name).mkdir(parents=True)
    (data_dir / name / "contract.yaml").write_text(text, "utf-8")
    return load_contract(name, data_dir)
