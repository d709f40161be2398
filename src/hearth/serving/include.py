"""What a request asks for beside classes and probabilities: a set of classes, and how unlike the train set a record is."""

from collections.abc import Sequence
from dataclasses import dataclass

from hearth.errors import ErrorKind, HearthError

SET, UNUSUAL = "set", "unusual"
PARTS = (SET, UNUSUAL)
TEXTS = ("", SET, UNUSUAL, f"{SET},{UNUSUAL}", f"{UNUSUAL},{SET}")  # what a parameter of V2 may be
_LONGEST = 80


class InvalidInclude(HearthError):
    """A request asks to include what no answer has."""

    code = "invalid_request"
    kind = ErrorKind.CALLER


@dataclass(frozen=True, slots=True)
class Include:
    """The parts that a request asks for."""

    set: bool = False
    unusual: bool = False

    def __bool__(self) -> bool:
        return self.set or self.unusual

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts."""
        return tuple(name for name in PARTS if getattr(self, name))


NOTHING = Include()


def read_include(names: Sequence[str]) -> Include:
    """Return what the names ask for.

    Raises:
        InvalidInclude: one is no part of an answer, or is there twice.
    """
    for position, name in enumerate(names):
        if name not in PARTS:
            short = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
            raise InvalidInclude(f"'include' names {short.encode(errors='replace').decode()!r}; an answer can include: {', '.join(PARTS)}.")
        if name in names[:position]:
            raise InvalidInclude(f"'include' names {name!r} twice.")
    return Include(SET in names, UNUSUAL in names)


def parse_include(text: str) -> Include:
    """Return what a list of names with commas between them asks for, nothing for an empty text; raises InvalidInclude."""
    return read_include([name.strip() for name in text.split(",", len(PARTS))]) if text.strip() else NOTHING
