"""The picture of a search: the score of each trial, and the best so far."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hearth.training.figures import COLOURS, GRID_COLOUR, head, png
from hearth.training.shared_study import EndedTrial

_SIZE = (7.0, 4.6)  # inches


def draw_search(trials: Sequence[EndedTrial], metric: str, title: str) -> bytes:
    """Draw the trials in the order in which they ended, a colour a worker; pruned ones are crosses.

    Returns:
        A PNG file.
    """
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    workers = sorted({trial.worker for trial in trials})
    for place, worker in enumerate(workers):
        for pruned, mark in ((False, "o"), (True, "x")):
            found = [(x, t.result.score) for x, t in enumerate(trials, 1) if t.worker == worker and t.result.pruned == pruned]
            if found:
                count = sum(trial.worker == worker for trial in trials)
                label = f"worker {place + 1}: {count} trials" if not pruned else None
                axes.plot(*zip(*found, strict=True), mark, color=COLOURS[place % len(COLOURS)], label=label)
    whole = [np.nan if trial.result.pruned else trial.result.score for trial in trials]
    axes.step(range(1, len(trials) + 1), np.fmax.accumulate(whole), where="post", color="#666666", label="best so far")
    axes.set(xlabel="trials, in the order of their end (crosses: pruned)", ylabel=f"{metric} in cross-validation")
    axes.grid(color=GRID_COLOUR)
    axes.legend(loc="lower right", fontsize="small")
    seconds = sum(trial.seconds for trial in trials)
    head(figure, f"Search: {len(trials)} trials, {len(workers)} workers, {seconds:,.0f} s of trials", title)
    return png(figure)
