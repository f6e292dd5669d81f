"""Stores under failing disks, power cuts, torn journals, flipped bits and kill -9: right rows or none, and on."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.disks import FailingDisk, NoSync, PowerCutDisk, rebuild
from tests.stores import SHAPES, contents, fill, names, spec, truth
from zslcache.cache.store import FeatureStore
from zslcache.cache.verify import disown, verify
from zslcache.cache.writer import StoreWriter, create_store, writing
from zslcache.errors import DamageError, DataError, NotFoundError, ZslError, disk_error

SPEC = spec(images=7, shard_rows=4)  # two shards, the last one short
SKIPPED = {5: "gekürzt"}
TRUTH = {feature: truth(7, shape, feature).astype("f2") for feature, shape in SHAPES.items()}


def write(path: Path, disk: NoSync | None = None) -> FeatureStore:
    """Two features, the second added later; whatever is there already is kept."""
    fill(path, SPEC, {"global": (5,)}, SKIPPED, disk=disk or NoSync())
    return fill(path, SPEC, SHAPES, SKIPPED, disk=disk or NoSync())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("whole") / "s").path


def check_rows(path: Path) -> FeatureStore | None:
    """Whatever the store calls valid is right; None when there is no store."""
    try:
        store = FeatureStore.open(path)
    except NotFoundError:
        return None
    for feature in store.features:
        rows = np.flatnonzero(store.valid([feature]))
        assert np.array_equal(store.read(feature, rows), TRUTH[feature][rows])
    return store


def check_resumes(path: Path, whole: Path) -> None:
    """Going on gives the very bytes of an undisturbed store, and leaves nothing behind."""
    fill(path, SPEC, SHAPES, SKIPPED, disk=NoSync())
    assert contents(path) == contents(whole)
    assert FeatureStore.open(path).valid(list(SHAPES)).sum() == 6
    assert verify(path).bad == ()
    assert list((path / "tmp").iterdir()) == []


@pytest.mark.parametrize("forever", [False, True])
def test_any_operation_may_fail(tmp_path, whole, forever):
    counter = FailingDisk(0)
    write(tmp_path / "counted", counter)
    assert counter.done > 60
    for fatal in range(1, counter.done + 1):
        path = tmp_path / str(fatal)
        with pytest.raises(ZslError, match=f"{tmp_path}.*: (No space left on device|Input/output error)") as failure:
            write(path, FailingDisk(fatal, forever, half=not forever))
        assert failure.value.hint
        if store := check_rows(path):
            assert verify(path).bad == ()
            assert store.journal.damaged_lines == ()
        check_resumes(path, whole)
        shutil.rmtree(path)


def test_a_writer_goes_on_after_a_commit_that_failed(tmp_path, whole):
    block = {"global": truth(7, (5,))[:4]}
    for fatal in range(1, 30):
        path = tmp_path / str(fatal)
        create_store(path, SPEC, names(7), {}, NoSync())
        with writing(path, disk=NoSync()) as writer:
            writer.add_features({"global": (5,)})
            writer.disk = FailingDisk(fatal, half=True)
            with pytest.raises(ZslError):
                _commit_for_ever(writer, block)
            writer.disk = NoSync()
            writer.commit(0, block)
        store = FeatureStore.open(path)
        assert store.journal.damaged_lines == ()
        assert store.committed["global"].tolist() == [True, False]


def _commit_for_ever(writer: StoreWriter, block: dict[str, np.ndarray]) -> None:
    while True:
        writer.commit(0, block)


def test_a_power_cut_at_any_moment(tmp_path, whole):
    root = tmp_path / "cut"
    root.mkdir()
    disk = PowerCutDisk(root)
    path = root / "s"
    create_store(path, SPEC, names(7), {"batch_size": 2}, disk)
    done = 0
    for feature, shape in SHAPES.items():
        for shard in (0, 1):
            fill(path, SPEC, {feature: shape}, SKIPPED, [shard], disk)
            disk.note()
            done += 1
            disk.acknowledged = done
    disk.note()
    assert len(disk.cuts) > 100
    for number, (promised, tree) in enumerate(disk.cuts.values()):
        copy = tmp_path / str(number)
        rebuild(tree, copy)
        store = check_rows(copy / "s")
        if store is None:
            assert promised == 0
        else:
            assert sum(int(store.complete([feature]).sum()) for feature in store.features) >= promised
            assert verify(copy / "s").bad == ()
        if number % 3 == 0:
            check_resumes(copy / "s", whole)
        shutil.rmtree(copy)


def test_a_journal_torn_at_any_byte(tmp_path, whole):
    journal = (whole / "journal.jsonl").read_bytes()
    path = tmp_path / "s"
    shutil.copytree(whole, path)
    ends = [at + 1 for at, byte in enumerate(journal) if byte == 10]
    for length in range(len(journal) + 1):
        (path / "journal.jsonl").write_bytes(journal[:length])
        store = check_rows(path)
        assert len(store.journal.commits) == sum(end <= length for end in ends)
        assert verify(path).bad == ()
        if length % 50 == 0 or {length - 1, length, length + 1} & set(ends):
            check_resumes(path, whole)
            assert (
                (path / "journal.jsonl").read_bytes().startswith(journal[: max([0, *(e for e in ends if e <= length)])])
            )


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_of_a_shard_is_found_and_named(tmp_path, whole):
    path = tmp_path / "s"
    shutil.copytree(whole, path)
    rng = random.Random(0)
    shards = sorted((path / "features.zarr").rglob("c.*"))
    for _ in range(200):
        file = rng.choice(shards)
        data = file.read_bytes()
        file.write_bytes(flipped(data, rng.randrange(8 * len(data))))
        (bad,) = verify(path).bad
        assert (bad.feature, bad.shard) == (file.parent.name, int(file.name.split(".")[1]))
        assert bad.reason == f"{file.parent.name}/{file.name} does not match its checksum"
        store = FeatureStore.open(path)
        for feature in store.features:  # no crash: numbers or a refusal
            with suppress(DamageError):
                store.read(feature, np.flatnonzero(store.valid([feature])))
        file.write_bytes(data)
    assert verify(path).bad == ()


@pytest.mark.parametrize(
    "file",
    ["store.json", "journal.jsonl", "images.txt", "features.zarr/zarr.json", "features.zarr/tokens/zarr.json"],
)
def test_every_flipped_bit_of_the_other_files_is_found(tmp_path, whole, file):
    path = tmp_path / "s"
    shutil.copytree(whole, path)
    data = (path / file).read_bytes()
    rng = random.Random(file)
    last = range(8 * len(data) - 8, 8 * len(data))
    escaped = 8 * max(0, data.find(rb"\u00"))  # in either case of its letters it is the same JSON
    for bit in {*rng.sample(range(8 * len(data)), 250), *last, *range(escaped, escaped + 48)}:
        (path / file).write_bytes(flipped(data, bit))
        report = verify(path)
        assert [entry.feature for entry in report.bad] in ([file], [file, file]), bit
        assert report.bad[0].shard is None
        assert file in report.bad[0].reason
        if file == "journal.jsonl":
            check_rows(path)


def test_damaged_shards_are_disowned_and_only_they_are_made_again(tmp_path, whole):
    path = tmp_path / "s"
    shutil.copytree(whole, path)
    file = path / "features.zarr/tokens/c.1.0.0"
    file.write_bytes(flipped(file.read_bytes(), 100))
    journal = path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(flipped(lines[0], 50) + b"".join(lines[1:]))  # shard 0 of global and the image hashes
    report = verify(path)
    assert {(bad.feature, bad.shard) for bad in report.bad} == {("tokens", 1), ("journal.jsonl", None)}
    disown(path, report.bad)
    assert verify(path).bad == ()
    store = FeatureStore.open(path)
    assert store.complete(["tokens"]).tolist() == [False, False]
    assert store.complete(["global"]).tolist() == [False, True]
    untouched = {name: (path / "features.zarr" / name).stat().st_mtime_ns for name in contents(path)}
    check_resumes(path, whole)
    changed = {n for n, at in untouched.items() if (path / "features.zarr" / n).stat().st_mtime_ns != at}
    assert "global/c.1.0" not in changed
    assert "tokens/c.1.0.0" in changed


def test_damaged_metadata_is_restored(tmp_path, whole):
    path = tmp_path / "s"
    shutil.copytree(whole, path)
    (path / "images.txt").write_bytes(b"")
    (path / "features.zarr/tokens/zarr.json").unlink()
    (path / "features.zarr/zarr.json").write_bytes(b"{}")
    assert len(verify(path).bad) == 3
    with writing(path) as writer:
        with pytest.raises(DataError, match="not the images of the store"):
            writer.restore_metadata(["a"])
        writer.restore_metadata(names(7))
    assert verify(path).bad == ()
    assert contents(path) == contents(whole)


BIG = spec(images=24, shard_rows=3)


def write_big(path: Path) -> None:
    fill(path, BIG)


def test_kill_at_thirty_random_moments(tmp_path):
    begun = time.monotonic()
    undisturbed = fill(tmp_path / "whole", BIG).path
    duration = time.monotonic() - begun
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_store_faults"])
    rng = random.Random(0)
    kills, finished = 0, 0
    while kills < 30:
        path = tmp_path / str(finished)
        writer = context.Process(target=write_big, args=(path,))
        writer.start()
        writer.join(rng.uniform(0, duration))
        writer.kill()
        writer.join()
        kills += writer.exitcode != 0
        try:
            store = FeatureStore.open(path)
        except NotFoundError:
            continue
        for feature in store.features:
            rows = np.flatnonzero(store.valid([feature]))
            expected = truth(24, SHAPES[feature], feature).astype("f2")
            assert np.array_equal(store.read(feature, rows), expected[rows])
        assert verify(path).bad == ()
        if store.features and store.complete(store.features).all():
            finished += 1
    write_big(path)
    for store in range(finished):
        assert contents(tmp_path / str(store)) == contents(undisturbed)
    assert contents(path) == contents(undisturbed)


LIMITED = """
import resource, sys
from pathlib import Path
from tests.test_store_faults import write
from zslcache.errors import ZslError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    write(Path(sys.argv[1]))
except ZslError as error:
    print(error, error.hint, sep="\\n")
"""


@pytest.mark.parametrize("limit", [10, 740])
def test_a_real_limit_on_file_sizes_is_a_message(tmp_path, whole, limit):
    path = tmp_path / "s"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(limit)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    message, hint = done.stdout.splitlines()
    assert message.startswith(str(path))
    assert message.endswith("File too large.")
    assert "ulimit -f" in hint
    check_resumes(path, whole)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path, whole):
    path = tmp_path / "s"
    shutil.copytree(whole, path)
    path.chmod(0o500)
    (path / "writer.lock").unlink(missing_ok=True)
    with pytest.raises(ZslError, match="Permission denied") as refused, writing(path):
        pass
    assert "permissions" in refused.value.hint
    assert check_rows(path) is not None  # reading needs no lock


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_refusals_of_the_system_come_with_a_remedy(code):
    error = disk_error(OSError(code, os.strerror(code)), Path("/data/x"))
    assert error.message == f"/data/x: {os.strerror(code)}."
    assert error.hint
