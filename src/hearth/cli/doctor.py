"""`hearth doctor`: what is wrong with this machine or its stack, and what to do.

`deploy/embedded/doctor.py` examines machine and stack, in the environment of the stack. What needs no checkout is examined here: settings,
the API and its champions; and the environments, one of which may be missing.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearth.cli.application import FAILED, STACK, Command, examples
from hearth.cli.checkout import EMBEDDED, ENVIRONMENTS, Checkout, find_checkout

if TYPE_CHECKING:
    from pathlib import Path

OK, WARN, FAIL = "ok", "warn", "fail"
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """One line: how bad it is, what it is about, what is so, and what to do about it (empty where nothing is to be done)."""

    level: str
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.level:<5} {self.subject:<12} {self.text}{f' -> {self.remedy}' if self.remedy else ''}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples(
        "hearth doctor",
        "hearth doctor --index      # also ask the package index",
        """hearth doctor --json | jq '.[] | select(.level != "ok")'""",
    )
    app.command(cls=Command, rich_help_panel=STACK, epilog=lines)(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    index: Annotated[bool, typer.Option("--index", help="Check that the package index can be reached.")] = False,
) -> None:
    """Say what is wrong with a machine or a stack.

    Prints one line a finding, with what to do about it. The exit code is 1 if anything fails.
    """
    findings = list(_examine(index=index))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(str(finding))
    raise typer.Exit(FAILED if any(finding.level == FAIL for finding in findings) else 0)


def _examine(*, index: bool) -> Iterator[Finding]:
    checkout = find_checkout()
    url, is_expected = os.environ.get("HEARTH_API_URL", ""), True
    if checkout:
        yield from _environments(checkout)
        if checkout.folder(EMBEDDED).joinpath("bin/python").exists():
            report = _stack_report(checkout, index=index)
            yield from (Finding(**finding) for finding in report["findings"])
            url, is_expected = report["api_url"], report["is_running"]
    else:
        yield Finding(OK, "checkout", "none here: only settings and servers are checked")
        yield from _settings()
    yield from _champions(url, is_expected=is_expected)


def _environments(checkout: Checkout) -> Iterator[Finding]:
    """Compare each environment with the file that it is made from, as `make setup` does."""
    for name in ENVIRONMENTS:
        if not checkout.folder(name).joinpath("bin/python").exists():
            yield Finding(FAIL, "environment", f"{name} is not installed", "make setup")
            continue
        command = ["make", "--question", f".venvs/{name}/.installed"]
        try:
            code = subprocess.run(command, cwd=checkout.root, capture_output=True, check=False).returncode  # noqa: S603 - of our Makefile
        except FileNotFoundError:
            yield Finding(WARN, "environment", "make is not installed, so nothing tells whether environments are current", "install make")
            return
        current = code == 0
        text = "is current" if current else "differs from its requirement file"
        yield Finding(OK if current else WARN, "environment", f"{name} {text}", "" if current else "make setup")


def _stack_report(checkout: Checkout, *, index: bool) -> dict[str, Any]:
    command: list[str | Path] = [checkout.python(EMBEDDED), "-m", "deploy.embedded.doctor", *(["--index"] if index else [])]
    process = subprocess.run(command, cwd=checkout.root, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if process.returncode != 0:
        reason = (process.stderr.strip().splitlines() or [f"code {process.returncode}"])[-1]
        return {
            "findings": [asdict(Finding(FAIL, "stack", f"deploy.embedded.doctor ended: {reason}", "make setup"))],
            "api_url": "",
            "is_running": False,
        }
    report: dict[str, Any] = json.loads(process.stdout)
    return report


def _settings() -> Iterator[Finding]:
    from hearth.errors import InvalidSettings  # noqa: PLC0415 - a help page does not wait for pydantic
    from hearth.settings import Settings  # noqa: PLC0415

    try:
        Settings()
    except InvalidSettings as error:
        yield Finding(FAIL, "settings", str(error))
    else:
        yield Finding(OK, "settings", "are complete for a program that reads contracts")


def _champions(url: str, *, is_expected: bool) -> Iterator[Finding]:
    """Ask the API which data sets have a champion; it may be away where it is not expected to run."""
    if not url:
        return
    import urllib.error  # noqa: PLC0415 - a help page does not wait for it
    import urllib.request  # noqa: PLC0415

    try:
        request = urllib.request.Request(f"{url}/models")  # noqa: S310 - the address of our own settings
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_TIMEOUT_SECONDS) as response:
            datasets = json.load(response)["datasets"]
    except (OSError, ValueError, KeyError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if is_expected:
            yield Finding(WARN, "api", f"{url} does not answer ({reason})", "hearth up, or set HEARTH_API_URL")
        return
    for dataset in datasets:
        aliases = dataset["aliases"]
        champions = [alias["version"] for alias in aliases if alias["alias"] == "champion" and alias.get("version")]
        if champions:
            yield Finding(OK, "champion", f"{dataset['dataset']}: version {champions[0]}")
        else:
            yield Finding(
                WARN, "champion", f"{dataset['dataset']} has none", f"hearth demo --dataset {dataset['dataset']}, or run its DAGs"
            )
        yield from _models(dataset["dataset"], aliases)


def _models(dataset: str, aliases: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Say which versions do not serve although they should, and which serve without the signature of our trainings."""
    problems = {alias["problem"]: f"{dataset}@{alias['alias']}" for alias in aliases if alias.get("problem")}
    for problem, alias in problems.items():
        yield Finding(WARN, "model", f"{alias}: {problem}", "docs/model-life.md")
    unsigned = sorted({alias["version"] for alias in aliases if alias.get("signed") is False}, key=int)
    if unsigned:
        text = f"{dataset}: version {', '.join(unsigned)} not signed by our trainings; production refuses that"
        yield Finding(WARN, "signature", text, f"train again, or hearth sign {dataset} {unsigned[0]}")
