"""What the command lines of Hearth share: plain help with groups and examples, and exit codes.

0: it worked. 1: it failed, and standard error says why. 2: the command line is wrong. 130: interrupted by Ctrl-C.
"""

import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import typer
from typer.core import TyperCommand, TyperGroup

from hearth.errors import HearthError

FAILED = 1
SUBJECTS = STACK, DATA, MODELS, PREDICTIONS = ("The stack on this machine", "Data", "Models", "Predictions")


class CommandError(Exception):
    """A command cannot do its work; the message says why and what to do."""


class Formatter(Protocol):
    """The part of the help formatter that writes lines as they are."""

    def write(self, string: str) -> None: ...

    def write_dl(self, rows: list[tuple[str, str]]) -> None: ...

    def section(self, name: str) -> Any: ...  # noqa: ANN401 - a context manager of Typer


class Command(TyperCommand):
    """A command whose epilog, its examples, is printed line by line."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - the signature of Typer
        _write_examples(self.epilog, formatter)


class Group(TyperGroup):
    """A group that lists its commands by subject, the subjects in their order."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - the signature of Typer
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - the signature of Typer
        subjects: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.commands[name]
            if not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                subject = panel if isinstance(panel, str) else "Commands"
                subjects.setdefault(subject, []).append((name, command.get_short_help_str(limit=100)))
        for subject in sorted(subjects, key=lambda name: SUBJECTS.index(name) if name in SUBJECTS else len(SUBJECTS)):
            with formatter.section(subject):
                formatter.write_dl(subjects[subject])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - the signature of Typer
        _write_examples(self.epilog, formatter)


class DefaultGroup(Group):
    """A group whose first command runs where none is named: `hearth predictions ID` beside `hearth predictions forget ID`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - the signature of Typer
        if not args or args[0] not in self.commands:
            args = [next(iter(self.commands)), *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


def _write_examples(epilog: str | None, formatter: Formatter) -> None:
    if epilog:
        formatter.write("\n" + "\n".join(epilog.splitlines()) + "\n")


def examples(*lines: str) -> str:
    """Return the epilog of a help page with these examples."""
    return "\n".join(["Examples:", *(f"  {line}" for line in lines)])


def make_app(help_: str, **options: Any) -> typer.Typer:  # noqa: ANN401 - options of Typer
    """Return an application, or a group of commands, without commands."""
    return typer.Typer(
        cls=Group,
        help=help_,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        suggest_commands=True,
        **{"no_args_is_help": True} | options,
    )


def run(app: typer.Typer, name: str | None = None) -> NoReturn:
    """Run an application and end the process with its exit code; an error of Hearth is one message, without a traceback."""
    try:
        app(prog_name=name)
    except (HearthError, CommandError) as error:
        typer.echo(str(error), err=True)
    sys.exit(FAILED)


def run_program(main: Callable[..., None], *, arguments: list[str] | None = None) -> NoReturn:
    """Run a program of one command, whose options are the parameters of `main` and whose help is its docstring."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    app.command(cls=Command)(main)
    if arguments is not None:
        sys.argv[1:] = arguments
    run(app)
