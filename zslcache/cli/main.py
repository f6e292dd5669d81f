"""The entry point: joins the commands and turns what goes wrong into messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from zslcache.cli import cache, data, exchange, extract, system, upkeep  # noqa: F401 - importing registers the commands
from zslcache.cli.app import InterruptedByUserError, app
from zslcache.cli.console import Console
from zslcache.errors import UsageError
from zslcache.home import Home


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Usage errors arise before a command has read its options, so --json is looked for in the words themselves.
    console = Console(Home.at(None), "--json" in words)
    try:
        code = app(args=words, prog_name="zslcache", standalone_mode=False)
    except typer.Abort:
        sys.exit(InterruptedByUserError.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        # typer's usage errors carry a ready message; which module they come from depends on typer's version.
        if not hasattr(error, "format_message"):
            raise
        message = error.format_message()
        if not message:  # no arguments at all: the help has been asked for
            error.show()  # type: ignore[attr-defined]
        else:
            path = getattr(getattr(error, "ctx", None), "command_path", "zslcache")
            console.error(UsageError(message, f"See: {path} --help"))
        sys.exit(UsageError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
