"""Where data come from: it belongs to processed data, to versions, and to every list of them."""

from typing import Literal

Origin = Literal["generated", "file", "batches", "served", "unknown"]
"""`generated` are fake rows, `served` are records that were served and got a label; `unknown` is the origin of data that were processed
before origins were kept."""

GENERATED: Origin = "generated"
FILE: Origin = "file"
BATCHES: Origin = "batches"
SERVED: Origin = "served"
UNKNOWN: Origin = "unknown"
REAL: frozenset[Origin] = frozenset({FILE, BATCHES})
