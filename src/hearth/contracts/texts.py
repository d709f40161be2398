"""How the texts of files are read, by the ETL and by the services alike."""

MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "Null", "null", "None"})
"""Texts that mean a missing value, unless they are a category of the column."""

NUMBER = r"(?:[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
"""What a number looks like. Python reads more: underscores, digits of all alphabets, words."""

WHOLE_CODE = r"^\+?(-?[0-9]+)\.0*$"
"""A column of codes is often written as 1.0 once a value is missing; the group is the code."""
