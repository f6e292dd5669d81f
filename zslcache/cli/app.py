"""The typer application and the decorator that gives every command its common options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from zslcache import __version__
from zslcache.cli.console import Console
from zslcache.errors import ZslError, disk_error
from zslcache.home import ENVIRONMENT, Home

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", envvar=ENVIRONMENT, help="Where datasets, stores and runs live.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
_COMMON = (
    inspect.Parameter("home", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=HomeOption),
    inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption),
)
RESUME = "Run the same command again: it goes on where it stopped."

app = typer.Typer(
    name="zslcache",
    help="Zero-shot learning on cached features: extract once, train light heads as often as you like.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, tokens among them
    context_settings={"help_option_names": ["-h", "--help"]},
)

F = TypeVar("F", bound=Callable[..., None])


def command(parent: typer.Typer = app, name: str | None = None, panel: str | None = None) -> Callable[[F], F]:
    """Register a function as a command; its first argument is the `Console` made from --home and --json."""

    def register(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]

        @wraps(function)
        def run(*, home: Path | None, as_json: bool, **arguments: Any) -> None:
            console = Console(Home.at(home), as_json)
            try:
                function(console, **arguments)
            except ZslError as error:
                console.error(error)
                raise typer.Exit(error.exit_code) from error
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                refused = disk_error(error)
                console.error(refused)
                raise typer.Exit(refused.exit_code) from error
            except KeyboardInterrupt as error:
                console.error(
                    InterruptedByUserError("Interrupted.", "Run the same command again: it goes on where it stopped.")
                )
                raise typer.Exit(InterruptedByUserError.exit_code) from error

        keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        run.__signature__ = signature.replace(parameters=[*keywords, *_COMMON])  # type: ignore[attr-defined]  # how inspect is told
        run.__annotations__ = {p.name: p.annotation for p in [*keywords, *_COMMON]}
        parent.command(name, rich_help_panel=panel)(run)
        return function

    return register


class InterruptedByUserError(ZslError):
    """Stopped by Ctrl-C."""

    code = "interrupted"
    exit_code = 130


def _print_version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"zslcache {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = None,
) -> None:
    pass
