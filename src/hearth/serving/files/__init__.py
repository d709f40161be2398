"""Scored files: a table in, the same table with predictions out, a batch of rows at a time.

added_columns   the columns that scoring adds
limits          how large a table may be
row_batches     a batch of rows, checked
csv_files, parquet_files   the two formats
"""

from hearth.serving.files.added_columns import AddedColumns, ScoreBatch, ScoredFile
from hearth.serving.files.csv_files import CsvFile
from hearth.serving.files.limits import FileLimits
from hearth.serving.files.parquet_files import ParquetFile

__all__ = ["AddedColumns", "CsvFile", "FileLimits", "ParquetFile", "ScoreBatch", "ScoredFile"]
