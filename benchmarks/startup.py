"""Time of `zslcache --help` against `--help` of a bare typer app with one command, alternating in one run.

python benchmarks/startup.py [--rounds 20]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

BARE = "import typer\napp = typer.Typer()\n@app.command()\ndef hello(name: str) -> None:\n    print(name)\napp()\n"


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    ours = [sys.executable, "-m", "zslcache", "--help"]
    bare = [sys.executable, "-c", BARE, "--help"]
    pairs = [(seconds(ours), seconds(bare)) for _ in range(rounds + 2)][2:]
    ratio = statistics.median(a / b for a, b in pairs)
    mine, theirs = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    print(f"zslcache --help {mine:.0f} ms, bare typer app {theirs:.0f} ms, median ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
