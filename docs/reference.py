"""Write docs/cli.md, the list of every command and option, from the command line itself.

Run as `python docs/reference.py`; a test fails when the page and the commands differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer.main

from zslcache.cli import main as _main  # noqa: F401 - importing registers the commands
from zslcache.cli.app import app

PAGE = Path(__file__).with_name("cli.md")
COMMON = {"home", "as_json", "help"}
HEAD = """# Commands

Written by `python docs/reference.py`. Every command also takes `--home DIR` (or the variable `ZSLCACHE_HOME`; default
`~/.cache/zslcache`), `--json` (one JSON document on stdout, everything for people on stderr) and `--help`.

Exit codes: 0 done; 1 cannot be done, with the reason and what to do next; 2 wrong usage; 3 verification found damage;
130 interrupted, the same command goes on where it stopped. With `--json` an error is the object
`{"code", "message", "hint"}`.
"""


def page() -> str:
    """The whole page as Markdown."""
    return HEAD + "".join(_section("zslcache", typer.main.get_command(app)))


def _section(path: str, command: Any) -> list[str]:
    if hasattr(command, "commands"):
        return [
            part for name in sorted(command.commands) for part in _section(f"{path} {name}", command.commands[name])
        ]
    parameters = [p for p in command.params if p.name not in COMMON]
    words = [
        f"{p.name.upper()}" if p.required else f"[{p.name.upper()}]"
        for p in parameters
        if not p.opts[0].startswith("-")
    ]
    lines = [f"\n## `{' '.join([path, *words])}`\n", f"\n{(command.help or '').strip()}\n"]
    if parameters:
        lines += ["\n| option | meaning | default |\n", "|---|---|---|\n"]
        lines += [f"| {_names(p)} | {_cell(p.help)} | {_default(p)} |\n" for p in parameters]
    return lines


def _names(parameter: Any) -> str:
    if not parameter.opts[0].startswith("-"):
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.default is None or parameter.default is False or parameter.default == ():
        return ""
    return f"`{parameter.default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
