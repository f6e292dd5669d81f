"""Imports follow the data: dataset, backbone, store, head, pipelines, command line, and never back."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "zslcache"
BASE = {"errors", "files", "home", "machine", "progress", "__init__"}
MAY_IMPORT = {
    "data": {"data"},
    "extract": {"extract", "data"},
    "cache": {"cache", "data"},
    "heads": {"heads"},
    "pipelines": {"pipelines", "heads", "cache", "extract", "data"},
    "cli": {"cli", "pipelines", "heads", "cache", "extract", "data"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """First component below the package of everything that a module imports from it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("zslcache.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    part = path.relative_to(PACKAGE).parts[0]
    if part not in MAY_IMPORT:
        allowed = BASE | ({"cli"} if part == "__main__.py" else set())
    else:
        allowed = BASE | MAY_IMPORT[part]
    assert imported(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path):
    if path.relative_to(PACKAGE).parts[0] == "cli":
        return
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_foreign_is_unpickled(path):
    source = path.read_text(encoding="utf-8")
    used = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pickle"
    }
    assert used <= {"UnpicklingError"}
    assert not re.search(r"from pickle import|allow_pickle=True|weights_only=False", source)
