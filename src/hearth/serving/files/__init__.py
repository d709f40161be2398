"""Files of records, scored: a table in, the same table with predictions out, a batch of rows at a time.

cells      texts of one column become numbers or codes
readings   what is in a batch of rows, and what is wrong with which of them
answers    the columns that are added to a table
csv_files, parquet_files   the two kinds of tables
"""

from hearth.serving.files.added_columns import AddedColumns, ScoredFile, Seen
from hearth.serving.files.csv_files import CsvFile
from hearth.serving.files.parquet_files import ParquetFile

__all__ = ["AddedColumns", "CsvFile", "ParquetFile", "ScoredFile", "Seen"]
