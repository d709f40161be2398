"""The raw file of a data set: the real one if it was dropped into its folder, else a generated one."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hearth.contracts import Contract
from hearth.fakes.generator import FakeRecords
from hearth.fakes.statistics import FILE_NAME
from hearth.settings import get_settings

DEMO_ROWS = 15_000
DEMO_SEED = 42


@dataclass(frozen=True)
class RawFile:
    """Where a raw file is, and whether it holds real or fake rows."""

    path: Path
    real: bool


def raw_file(contract: Contract, data_dir: Path, state_dir: Path, rows: int, seed: int) -> RawFile:
    """Return the real file in `<data_dir>/<name>/`, or write fake rows to `<state_dir>/data/<name>/` and return that file.

    Raises:
        InvalidStatistics: there is no real file, and the statistics for fake rows have a mistake.
    """
    real = real_file(contract, data_dir)
    if real is not None:
        return RawFile(real, real=True)
    path = fake_path(contract, state_dir)
    write_fake(contract, data_dir, path, rows, seed)
    return RawFile(path, real=False)


def real_file(contract: Contract, data_dir: Path) -> Path | None:
    """Return the real file of a data set, if someone dropped it there."""
    path = data_dir / contract.name / contract.source.file
    return path if path.is_file() else None


def fake_path(contract: Contract, state_dir: Path) -> Path:
    """Return where the generated file of a data set is written."""
    return state_dir / "data" / contract.name / contract.source.file


def has_statistics(contract: Contract, data_dir: Path | None = None) -> bool:
    """Return whether fake rows can be drawn for a data set."""
    return ((get_settings().data_dir if data_dir is None else data_dir) / contract.name / FILE_NAME).is_file()


def write_fake(contract: Contract, data_dir: Path, path: Path, rows: int, seed: int) -> None:
    """Write fake rows as a raw CSV file; the file appears whole or not at all.

    Raises:
        InvalidStatistics: the statistics have a mistake.
    """
    frame = FakeRecords.load(contract, data_dir).frame(rows, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=path.parent, suffix=".part", delete=False) as part:
        try:
            frame.to_csv(part, index=False, lineterminator="\n")
        except BaseException:
            Path(part.name).unlink()
            raise
    Path(part.name).chmod(0o644)  # temporary files are for their owner alone
    os.replace(part.name, path)  # noqa: PTH105 - says that an old file is replaced
