"""How often the gate errs, by simulation: `make bench-gate`.

Two models score the same test rows. Each class has a normal signal, which both see through noise that is mostly the same for both, and both
answer with the true probabilities of what they see; so they are calibrated, and the one that sees more is better in every measure. How much
more, is set so that the true difference of macro-F1 is 0, 0.5 or 1 standard errors of the measured difference. In the second world the
better model's probabilities are flattened until its log loss is that of the other: only the metric can tell.
"""

import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, load_contract
from hearth.contracts.gate_words import Gate
from hearth.contracts.origins import FILE
from hearth.modelling.comparison import compare
from hearth.modelling.evaluation import macro_f1
from hearth.modelling.gate import ComparedRows, Entrant, decide

_SKILL, _SHARED = 2.2, 0.95  # macro-F1 of about 0.85; how much of the noise is the same
_LARGE = 400_000
_DIFFERENCES = (0.0, 0.5, 1.0)
_CLASSES = 3


class World:
    """Draws test rows with the logits of two models, of which the second sees `gain` more."""

    def __init__(self, gain: float, rows: int, flatten: float = 1.0) -> None:
        self.gain, self.rows, self.flatten = gain, rows, flatten

    def draw(self, rng: np.random.Generator, rows: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the truth, shape (rows,), and two models' logits, shape (rows, classes)."""
        rows = rows or self.rows
        truth = rng.integers(_CLASSES, size=rows)
        shared, one, other = rng.normal(size=(3, rows, _CLASSES))
        signal = np.eye(_CLASSES)[truth]
        seen = [np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * own for own in (one, other)]
        skills = (_SKILL, _SKILL + self.gain)
        logits = [skill * (skill * signal + noise) for skill, noise in zip(skills, seen, strict=True)]
        return truth, logits[0], logits[1] / self.flatten


def main(
    draws: Annotated[int, values.whole("Test sets to draw for each line.")] = 1_000,
    rows: Annotated[int, values.whole("Rows of a test set.")] = 3_413,
    seed: Annotated[int, values.seed()] = 1,
) -> None:
    """Simulate how often the worse of two models gets or keeps the alias, under the rule of before and under the gate's."""
    contract = load_contract("employees", DATA).model_copy(update={"sensitive": {}, "gate": Gate()})
    table = make_table(
        f"Share of {draws:,} test sets of {rows:,} rows", "true difference", "log loss", "rule", "worse takes the alias", "better takes it"
    )
    error = _standard_error(rows, seed)
    for size in _DIFFERENCES:
        gain = _gain(size * error, seed)
        flat = _flatten(gain, seed)
        for kind, world in {"differs too": World(gain, rows), "equal": World(gain, rows, flat)}.items():
            if kind == "equal" and not size:
                continue
            for rule, took in _simulate(contract, world, draws, seed).items():
                table.add_row(f"{size:g} SE ({size * error:.4f})", kind, rule, *(f"{100 * each:.1f} %" for each in took))
    console = make_console()
    console.print(table)
    console.print(f"SE of the difference: {error:.4f}. A comparison of 10,000 rows takes {_seconds(seed):.2f} s.")


def _simulate(contract: Contract, world: World, draws: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return by rule how often the worse model takes the alias from the better one, and the better one from the worse."""
    rules: dict[str, Callable[[ComparedRows, Entrant, Entrant], bool]] = {
        "before: not lower": lambda test, new, old: _f1(test, new) >= _f1(test, old),
        "better": _rule(contract, "better"),
        "tie_break (default)": _rule(contract, "tie_break"),
    }
    rng = np.random.default_rng(seed)
    took = {name: np.zeros(2) for name in rules}
    for _ in range(draws):
        truth, worse_logits, better_logits = world.draw(rng)
        test = ComparedRows(pd.DataFrame(index=range(len(truth))), truth)
        worse, better = (Entrant(name, softmax(logits, axis=1), 1, FILE) for name, logits in (("1", worse_logits), ("2", better_logits)))
        for name, passes in rules.items():
            took[name] += (passes(test, worse, better), passes(test, better, worse))
    return {name: (counts[0] / draws, counts[1] / draws) for name, counts in took.items()}


def _rule(contract: Contract, passes: str) -> Callable[[ComparedRows, Entrant, Entrant], bool]:
    own = contract.model_copy(update={"gate": Gate.model_validate({"passes": passes})})
    return lambda test, new, old: decide(own, test, "lightgbm", new, old).passed


def _f1(test: ComparedRows, entrant: Entrant) -> float:
    if entrant.probabilities is None:
        raise ValueError(entrant.refused)
    return macro_f1(_CLASSES, test.truth, entrant.probabilities.argmax(axis=1))


def _difference(world: World, seed: int) -> float:
    truth, one, other = world.draw(np.random.default_rng(seed), _LARGE)
    return macro_f1(_CLASSES, truth, other.argmax(axis=1)) - macro_f1(_CLASSES, truth, one.argmax(axis=1))


def _standard_error(rows: int, seed: int) -> float:
    rng, world = np.random.default_rng(seed), World(0.0, rows)
    drawn = []
    for _ in range(1_000):
        truth, one, other = world.draw(rng)
        drawn.append(macro_f1(_CLASSES, truth, other.argmax(axis=1)) - macro_f1(_CLASSES, truth, one.argmax(axis=1)))
    return float(np.std(drawn))


def _gain(difference: float, seed: int) -> float:
    """Return the gain at which the true difference is this one: the same rows for both skills, so that their own noise does not count."""
    if not difference:
        return 0.0
    start = _difference(World(0.0, 1), seed)
    return float(brentq(lambda gain: _difference(World(gain, 1), seed) - start - difference, 0.0, 1.0, xtol=1e-4))


def _flatten(gain: float, seed: int) -> float:
    """Return the temperature that makes the better model's true log loss that of the other."""
    if not gain:
        return 1.0
    truth, one, other = World(gain, 1).draw(np.random.default_rng(seed), _LARGE)
    at = np.arange(len(truth)), truth
    goal = -log_softmax(one, axis=1)[at].mean()
    return float(brentq(lambda heat: -log_softmax(other / heat, axis=1)[at].mean() - goal, 1.0, 10.0, xtol=1e-4))


def _seconds(seed: int) -> float:
    truth, one, other = World(0.0, 10_000).draw(np.random.default_rng(seed))
    start = time.perf_counter()
    compare("macro_f1", truth, softmax(one, axis=1), softmax(other, axis=1))
    return time.perf_counter() - start


if __name__ == "__main__":
    run_program(main)
