"""How fast the memory of processes grows: a line through samples, with the interval of its slope."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil

_MEGABYTE = 1e6
_Z = 1.96  # of a 95 % interval
_FEWEST = 10
_BLOCKS = 12


@dataclass(frozen=True)
class Slope:
    """Megabytes an hour, with the bounds of its 95 % interval, and the first and last level of the line in megabytes."""

    per_hour: float
    low: float
    high: float
    first: float
    last: float


def fit_slope(times: Sequence[float], megabytes: Sequence[float]) -> Slope:
    """Fit a line by least squares to samples at these times, in seconds, both of length n.

    Memory moves in steps, so neighbouring samples say the same and the usual interval would be far too narrow: the line is fitted to the
    means of twelve blocks.

    Raises:
        ValueError: there are fewer than ten samples.
    """
    if len(times) < _FEWEST:
        raise ValueError(f"a slope needs {_FEWEST} samples, got {len(times)}")
    size = max(len(times) // _BLOCKS, 1)
    starts = range(0, len(times) - size + 1, size)
    hours = [sum(times[start : start + size]) / size / 3600 for start in starts]
    levels = [sum(megabytes[start : start + size]) / size for start in starts]
    count = len(hours)
    mean_hour, mean_level = sum(hours) / count, sum(levels) / count
    spread = sum((hour - mean_hour) ** 2 for hour in hours)
    per_hour = sum((hour - mean_hour) * (level - mean_level) for hour, level in zip(hours, levels, strict=True)) / spread
    residuals = sum((level - mean_level - per_hour * (hour - mean_hour)) ** 2 for hour, level in zip(hours, levels, strict=True))
    margin = _Z * math.sqrt(residuals / max(count - 2, 1) / spread)
    first, last = (mean_level + per_hour * (hour - mean_hour) for hour in (hours[0], hours[-1]))
    return Slope(per_hour, per_hour - margin, per_hour + margin, first, last)


def sample_memory(leaders: dict[str, int]) -> Iterator[tuple[str, float]]:
    """Yield the name and the memory, in megabytes, of each leader and of each of its children, by what the child runs.

    It is the memory that nobody shares: the share of a library in a proportional size goes up and down with others that load it.
    """
    for name, pid in leaders.items():
        leader = psutil.Process(pid)
        yield name, leader.memory_full_info().uss / _MEGABYTE
        for child in leader.children(recursive=True):
            try:
                module = next((part.rsplit(".", 1)[-1] for part in child.cmdline() if part.startswith("hearth.")), child.name())
                yield f"{name}: {module}", child.memory_full_info().uss / _MEGABYTE
            except psutil.NoSuchProcess:
                continue
