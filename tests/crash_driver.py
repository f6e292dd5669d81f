"""Extractions that are killed, in children forked from one process that has imported everything.

python -m tests.crash_driver FOLDER KILLS SEED    prints how many kills struck and how many stores were finished

Every child is killed at a random moment and its store resumed by the next one; a store that is complete is compared
with an undisturbed one, file by file, and then a new one is begun.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.extraction import array_digests, dataset_of, draw_pictures, tiny_vit
from zslcache.cache.store import IMAGES, TMP, FeatureStore
from zslcache.home import Home
from zslcache.pipelines.extract import extract
from zslcache.pipelines.store_for import Settings

IMAGES_COUNT, BROKEN = 400, 123
SETTINGS = Settings(shard_rows=8, batch_size=4, device="cpu", workers=2)


def fork(work: Callable[[], None]) -> int:
    """Run `work` in a child; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)


def ended(pid: int) -> bool:
    """Wait for a child; whether it finished its work rather than being killed."""
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        sys.exit("a child failed")
    return not os.WIFSIGNALED(status)


def content(home: Home) -> dict[str, object]:
    """Everything about the only store in `home` that must not depend on how it came about."""
    (path,) = home.stores.glob("*/*")
    store = FeatureStore.open(path)
    assert store.valid(["global", "tokens"]).sum() == IMAGES_COUNT - 1, "rows are missing"
    assert not store.journal.damaged_lines
    assert not list((path / TMP).iterdir()), "unfinished files were left behind"
    commits = [(commit.shard, sorted(commit.files.items()), commit.skipped) for commit in store.journal.commits]
    return array_digests(store) | {"names": (path / IMAGES).read_bytes(), "commits": commits}


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill and resume until `kills` kills have struck, then finish and compare."""
    torch.set_num_threads(1)  # no thread may exist when a child is forked
    dice = random.Random(seed)
    dataset = dataset_of(folder / "images", draw_pictures(folder / "images", IMAGES_COUNT, side=40))
    (folder / "images" / dataset.images.names[BROKEN]).write_bytes(b"no image")
    backbone = tiny_vit()

    def run(home: Home) -> int:
        return fork(lambda: extract(home, dataset, [backbone], SETTINGS) and None)

    begun = time.monotonic()
    assert ended(run(Home.at(folder / "undisturbed")))
    duration = time.monotonic() - begun
    undisturbed = content(Home.at(folder / "undisturbed"))
    struck = finished = 0
    while True:
        home = Home.at(folder / f"killed{finished}")
        while struck < kills:
            child = run(home)
            time.sleep(dice.uniform(0, duration * 0.6))
            os.kill(child, signal.SIGKILL)
            if ended(child):
                break
            struck += 1
        else:
            assert ended(run(home))
        assert content(home) == undisturbed
        finished += 1
        if struck == kills:
            break
    sys.stdout.write(json.dumps({"struck": struck, "finished": finished, "seconds": round(duration, 2)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
