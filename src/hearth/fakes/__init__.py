"""Fake rows of any data set: drawn from its contract and from statistics that were measured on its real file."""

from hearth.fakes.generator import FakeRecords
from hearth.fakes.raw import DEMO_ROWS, DEMO_SEED, RawFile, fake_path, has_statistics, raw_file, real_file, write_fake

__all__ = ["DEMO_ROWS", "DEMO_SEED", "FakeRecords", "RawFile", "fake_path", "has_statistics", "raw_file", "real_file", "write_fake"]
