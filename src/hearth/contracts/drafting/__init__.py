"""Draft the contract of a data set from its rows: `read_raw_table` reads a file, `draft_contract` is the pure part."""

from hearth.contracts.drafting.draft import Draft, draft_contract
from hearth.contracts.drafting.raw_table import PARQUET_SUFFIXES, RawTable, csv_content, parse_csv, read_raw_table, texts

__all__ = ["PARQUET_SUFFIXES", "Draft", "RawTable", "csv_content", "draft_contract", "parse_csv", "read_raw_table", "texts"]
