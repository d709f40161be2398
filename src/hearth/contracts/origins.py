"""Where data come from: it belongs to processed data, to versions, and to every list of them."""

from typing import Literal

Origin = Literal["generated", "file", "batches", "unknown"]
"""`generated` are fake rows; `unknown` is the origin of data that were processed before origins were kept."""

GENERATED: Origin = "generated"
FILE: Origin = "file"
BATCHES: Origin = "batches"
UNKNOWN: Origin = "unknown"
REAL: frozenset[Origin] = frozenset({FILE, BATCHES})
