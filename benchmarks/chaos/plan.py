"""The plan of a run: which faults happen when, drawn from a seed before anything runs. Nothing here reads or writes."""

import itertools
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

_LONGEST_DELAY_SECONDS = 0.15  # a burst of some thousand records takes the workers about as long
_LONGEST_DELAY_OF_A_SERVER_SECONDS = 0.01  # the next burst is sent meanwhile, and takes no longer
_AWAY_SECONDS = (0.3, 3.0)


class Victim(Enum):
    """The target of a blow."""

    WORKER = "worker"
    VALKEY = "valkey"
    POSTGRES = "postgres"


# A clean stop first, then crashes: SIGQUIT is PostgreSQL's own crash, without a last checkpoint.
_ENDS = {
    Victim.VALKEY: (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL),
    Victim.POSTGRES: (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL),
}


@dataclass(frozen=True)
class Blow:
    """A fault after `after_message` messages, a moment after the workers have begun with them."""

    after_message: int
    victim: Victim
    number: int
    """The worker; for a server, nothing."""
    by: signal.Signals
    delay_seconds: float
    away_seconds: float
    """How long a server stays away. A worker is started again at once."""

    def __str__(self) -> str:
        if self.victim is Victim.WORKER:
            return f"worker-{self.number + 1} by {self.by.name}"
        return f"{self.victim.value} by {self.by.name}, away {self.away_seconds:.1f} s"


def draw_blows(messages: int, *, workers: int, kills: int, restarts: int, seed: int) -> list[Blow]:
    """Return the blows in their order: `kills` of workers and `restarts` of each server, mixed."""
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    victims = [Victim.WORKER] * kills + [Victim.VALKEY, Victim.POSTGRES] * restarts
    random.shuffle(victims)
    ends = {victim: itertools.cycle(ways) for victim, ways in _ENDS.items()}
    places = sorted(random.sample(range(1, messages), len(victims)))
    return [_blow(place, victim, ends, workers, random) for place, victim in zip(places, victims, strict=True)]


def _blow(place: int, victim: Victim, ends: Mapping[Victim, Iterator[signal.Signals]], workers: int, random: Random) -> Blow:
    return Blow(
        place,
        victim,
        random.randrange(workers),
        signal.SIGKILL if victim is Victim.WORKER else next(ends[victim]),
        random.uniform(0, _LONGEST_DELAY_SECONDS if victim is Victim.WORKER else _LONGEST_DELAY_OF_A_SERVER_SECONDS),
        random.uniform(*_AWAY_SECONDS),
    )


def bursts(messages: int, blows: Sequence[Blow]) -> list[tuple[int, Blow | None]]:
    """Return how many messages are sent before each blow; the last entry is the rest, without a blow."""
    return [*((blow.after_message, blow) for blow in blows), (messages, None)]
