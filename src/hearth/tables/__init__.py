"""Tables as people have them: text files of any delimiter and encoding, packed or not, workbooks, Parquet. The ETL and uploads read alike.

unpacking   packed files, workbooks and Parquet become a text file
csv_texts   values of workbooks and Parquet as text
workbook_process  the process that reads a workbook
csv_form    how a text file is written
csv_rows    its rows
text_columns all of them, a column at a time
text_chunks  a few of them at a time, in memory that does not grow
text_blocks  blocks of whole rows, cut by one process and parsed by any
plain_block  the part of a file that pyarrow may read
unnamed_columns  whether a column without a name numbers the rows
streams      packed text files that are read without a copy of them
feature_columns  which column of a table to score is which feature
raw_header  which column of a raw file is which column of the contract
understood  sentences about how a file was read
"""

from hearth.tables.csv_form import CsvForm, find_form
from hearth.tables.csv_rows import Row, RowLimit, open_rows
from hearth.tables.feature_columns import column_names, feature_places, is_number, require_feature_types, require_features
from hearth.tables.raw_header import RawHeader, Unnamed, find_columns, is_unnamed
from hearth.tables.streams import open_text
from hearth.tables.text_blocks import BlockColumns, TextBlock, cut
from hearth.tables.text_chunks import Place, TextChunk, read_chunks
from hearth.tables.text_columns import TextColumn, TextColumns, read_columns
from hearth.tables.understood import MissingWords, missing_words, other_columns
from hearth.tables.unnamed_columns import UnnamedColumn
from hearth.tables.unpacking import PARQUET, Unpacked, unpack
from hearth.tables.unreadable import UnreadableTable

__all__ = [
    "PARQUET",
    "BlockColumns",
    "CsvForm",
    "MissingWords",
    "Place",
    "RawHeader",
    "Row",
    "RowLimit",
    "TextBlock",
    "TextChunk",
    "TextColumn",
    "TextColumns",
    "Unnamed",
    "UnnamedColumn",
    "Unpacked",
    "UnreadableTable",
    "column_names",
    "cut",
    "feature_places",
    "find_columns",
    "find_form",
    "is_number",
    "is_unnamed",
    "missing_words",
    "open_rows",
    "open_text",
    "other_columns",
    "read_chunks",
    "read_columns",
    "require_feature_types",
    "require_features",
    "unpack",
]
