"""Compare new processed data with those that were published last, or with the committed statistics of the data set."""

import logging
from dataclasses import dataclass

from hearth.contracts import Contract
from hearth.data import csv_validation
from hearth.data.cleaning import Split, clean, target_codes
from hearth.data.processed import latest_digest, load_profile
from hearth.data.profile import Profile, profile
from hearth.data.shift import NOTEWORTHY, Shift, shifts
from hearth.errors import ObjectNotFound, ShiftedData
from hearth.fakes import FakeRecords, has_statistics
from hearth.logs import about
from hearth.storage import ObjectStore

logger = logging.getLogger(__name__)

_FAKE_ROWS, _SEED = 5_000, 0
_SHOWN = 5


@dataclass(frozen=True)
class Comparison:
    """What new data were compared with, and how far each column has moved; `reference` is empty where there is nothing to compare with."""

    reference: str
    shifts: tuple[Shift, ...] = ()

    @property
    def noteworthy(self) -> tuple[Shift, ...]:
        """The columns that have moved so far that a person should look at them."""
        return tuple(shift for shift in self.shifts if shift.exceeds(NOTEWORTHY))


def compare(contract: Contract, store: ObjectStore, parts: Split) -> Comparison:
    """Compare a split with the data that were published last, or if there are none, with the committed statistics.

    Raises:
        ShiftedData: a column has moved farther than the contract's `cleaning.max_shift`.
    """
    name, reference = find_reference(contract, store)
    if reference is None:
        logger.info(
            "%s: nothing was published before and there are no statistics, so the data are compared with nothing",
            contract.name,
            extra=about(contract.name),
        )
        return Comparison("")
    limit, comparison = contract.cleaning.max_shift, Comparison(name, tuple(shifts(contract, reference, parts.X_train, parts.y_train)))
    beyond = [shift for shift in comparison.shifts if shift.exceeds(limit)]
    if beyond:
        raise ShiftedData(
            f"{contract.name}: the data differ strongly from {name}: {_listed(beyond)}. The limit is {limit:.0%} of the rows "
            "(cleaning.max_shift); nothing was published. Has a column another coding, unit or order of its categories? Translate the file "
            "then. If the data really changed, raise the limit for this run."
        )
    for shift in comparison.noteworthy:
        logger.warning("%s: compared with %s, %s", contract.name, name, shift, extra=about(contract.name))
    return comparison


def _listed(found: list[Shift]) -> str:
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(map(str, found[:_SHOWN])) + more


def find_reference(contract: Contract, store: ObjectStore | None) -> tuple[str, Profile | None]:
    """Return what new data are compared with, and its name: the data published last, else the committed statistics, else nothing."""
    if store is not None:
        try:
            digest = latest_digest(store, contract.name)
            return f"the data published last ({digest})", load_profile(store, contract.name, digest)
        except ObjectNotFound:  # nothing was published, or it was removed
            pass
    if not has_statistics(contract):
        return "", None
    return "the committed statistics (statistics.json)", _profile_of_statistics(contract, FakeRecords.load(contract))


def _profile_of_statistics(contract: Contract, records: FakeRecords) -> Profile:
    """Describe rows that are drawn from the statistics."""
    content = records.frame(_FAKE_ROWS, _SEED).to_csv(index=False).encode()
    accepted = csv_validation.validate(contract, csv_validation.read_raw(contract, content, "statistics.json")).accepted
    frame = clean(contract, accepted).frame
    return profile(contract, frame[list(contract.feature_names)], target_codes(contract, frame[contract.target.column]), "statistics")
