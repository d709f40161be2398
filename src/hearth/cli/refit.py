"""A version is fitted again: `hearth models refit`."""

from typing import Annotated

import typer

from hearth.cli import values
from hearth.cli.application import CommandError
from hearth.cli.checkout import AIRFLOW, enter


def refit(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", parser=values.parse_dataset, help="The data set, such as heart.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The number of the version, or an alias that carries it.")],
) -> None:
    """Fit a version again, on the same data with the same parameters.

    For a version of another release of scikit-learn or LightGBM, which nothing loads any more. It becomes a new version, which the gate
    judges as any other, and which gets no alias by itself.
    """
    enter(AIRFLOW)
    try:
        from hearth.jobs.refit import refit as fit_again  # noqa: PLC0415 - a help page does not wait for scikit-learn
    except ModuleNotFoundError as error:
        raise CommandError(f"`hearth models refit` needs an environment with training code: run it in a checkout. {error}") from None
    from hearth.contracts import load_contract  # noqa: PLC0415

    done = fit_again(dataset, version)
    metric = load_contract(dataset).metric
    before, after = done.old.metrics.get(metric), done.new.metrics.get(metric)
    scores = f"{metric} {after:.4f}" + ("" if before is None else f", {before:.4f} before") if after is not None else ""
    typer.echo(f"{done.old} is fitted again as version {done.new.version}, on data {done.new.digest}: {scores}.")
    for reason in done.decision.reasons:
        typer.echo(f"the gate: {reason}")
    if done.decision.passed:
        typer.echo(f"It has no alias yet: hearth promote {dataset} {done.new.version} --to {done.new.family}, or --to champion.")
