"""The way in for data sets whose source hands out batches over HTTP: fetched, stored once each in a SQL table, exported for the ETL."""

from hearth.data.ingest.api import BatchApi, Exhausted
from hearth.data.ingest.batches import Batch, parse_batch
from hearth.data.ingest.database import BatchTable, Cleared, Export

__all__ = ["Batch", "BatchApi", "BatchTable", "Cleared", "Exhausted", "Export", "parse_batch"]
