"""The command line: streams, exit codes, messages, lazy imports, and documentation that cannot go stale."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from tests.cli import zslcache
from zslcache.cli.app import app, command
from zslcache.cli.console import Console
from zslcache.errors import DamageError, DataError, ZslError
from zslcache.pipelines import doctor as doctor_module

ROOT = Path(__file__).parents[1]


def commands(group, path=()):
    for name, entry in group.commands.items():
        if hasattr(entry, "commands"):
            yield from commands(entry, (*path, name))
        else:
            yield (*path, name), entry


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_help_imports_nothing_heavy():
    heavy = ("torch", "zarr", "numpy", "scipy", "timm", "PIL", "jaxtyping")
    code = (
        "import sys\nfrom zslcache.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help_and_the_common_options(path):
    entry = COMMANDS[path]
    assert entry.help
    assert all(getattr(parameter, "help", None) for parameter in entry.params)
    assert {"--home", "--json"} <= {option for parameter in entry.params for option in parameter.opts}


def test_the_reference_page_is_up_to_date():
    made = runpy.run_path(str(ROOT / "docs" / "reference.py"))["page"]()
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == made, "run: python docs/reference.py"


def test_unknown_command_suggests_and_exits_2():
    outcome = zslcache("docto")
    assert outcome.code == 2
    assert "doctor" in outcome.err
    assert outcome.out == ""


def test_usage_errors_are_json_when_asked():
    outcome = zslcache("doctor", "--bogus", "--json")
    assert outcome.code == 2
    assert outcome.document["code"] == "usage"
    assert "--bogus" in outcome.document["message"]
    assert "zslcache doctor --help" in outcome.document["hint"]


@pytest.fixture
def failing(monkeypatch):
    """A throw-away command that raises what a test tells it to."""
    raised: list[BaseException] = []

    def fail(console: Console) -> None:
        """Fail."""
        raise raised[0]

    before = list(app.registered_commands)
    command(name="fail-for-test")(fail)
    yield raised
    app.registered_commands[:] = before


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ZslError("It broke.", "Mend it."), 1),
        (DataError("Wrong:", problems=["a.csv line 3: expected a number"]), 1),
        (DamageError("Shard 3 is damaged."), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_messages_and_exit_codes(failing, error, code):
    failing.append(error)
    for words in (["fail-for-test"], ["fail-for-test", "--json"]):
        outcome = zslcache(*words)
        assert outcome.code == code
        assert "Traceback" not in outcome.err + outcome.out
    document = outcome.document
    assert set(document) == {"code", "message", "hint"}
    if code == 130:
        assert "goes on where it stopped" in document["hint"]


def test_home_comes_from_the_option_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ZSLCACHE_HOME", str(tmp_path / "environment"))
    checks = {c["name"]: c for c in zslcache("doctor", "--json", "--home", tmp_path / "option").document["checks"]}
    assert checks["home"]["detail"] == str(tmp_path / "option")
    checks = {c["name"]: c for c in zslcache("--home", tmp_path / "before", "--json", "doctor").document["checks"]}
    assert checks["home"]["detail"] == str(tmp_path / "before")
    checks = {c["name"]: c for c in zslcache("doctor", "--json").document["checks"]}
    assert checks["home"]["detail"] == str(tmp_path / "environment")


def test_doctor_gives_a_fix_for_every_failure(monkeypatch, tmp_path):
    monkeypatch.setitem(doctor_module.PACKAGES, "no-such-package", "no_such_package")
    (tmp_path / "file").write_text("")
    outcome = zslcache("doctor", "--home", tmp_path / "file")
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    failures = [i for i, line in enumerate(lines) if line.startswith("FAIL")]
    assert len(failures) >= 2
    assert all(lines[i + 1].strip().startswith("Fix:") for i in failures)
    document = zslcache("doctor", "--json", "--home", tmp_path / "file").document
    assert not document["ok"]
    assert all(check["ok"] or check["fix"] for check in document["checks"])


def test_progress_goes_to_stderr_as_plain_lines_without_a_terminal(capsys):
    with Console.__new__(Console).task("Drawing", 3, "images") as task:
        for _ in range(3):
            task.advance()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Drawing: 3/3" in captured.err
    assert "\x1b" not in captured.err


def test_completion_script_is_offered():
    done = subprocess.run(
        [sys.executable, "-m", "zslcache", "--show-completion", "bash"], capture_output=True, text=True, check=False
    )
    assert "complete" in done.stdout + done.stderr


def test_stdout_of_json_is_one_document():
    assert isinstance(json.loads(zslcache("doctor", "--json").out), dict)
