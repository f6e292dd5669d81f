"""Whatever the sizes, the shards written and the rows asked for, a store gives those rows or refuses."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.stores import fill, spec, truth
from zslcache.cache.layout import ArraySpec, encode_shard, map_rows
from zslcache.cache.quantise import dequantise, quantise
from zslcache.cache.spec import canonical, differences
from zslcache.errors import DataError

QUICK = settings(max_examples=25, deadline=None)
SMALL = st.integers(1, 4)


@QUICK
@given(st.data())
def test_stores(data):
    images, shard_rows = data.draw(st.integers(1, 23)), data.draw(st.integers(1, 9))
    shape = tuple(data.draw(st.lists(SMALL, min_size=1, max_size=3)))
    shards = -(-images // shard_rows)
    written = data.draw(st.lists(st.integers(0, shards - 1), unique=True))
    skipped = dict.fromkeys(data.draw(st.lists(st.integers(0, images - 1), unique=True, max_size=3)), "broken")
    dtype = data.draw(st.sampled_from(["float16", "float32"]))
    with tempfile.TemporaryDirectory() as folder:
        store = fill(Path(folder) / "s", spec(images, dtype, shard_rows), {"tokens": shape}, skipped, written)
        expected = truth(images, shape, "tokens").astype(dtype)
        committed = np.isin(np.arange(images) // shard_rows, written)
        valid = committed & ~np.isin(np.arange(images), list(skipped))
        assert np.array_equal(store.valid(["tokens"]), valid)
        assert store.skipped == {row: "broken" for row in skipped if committed[row]}

        rows = np.array(data.draw(st.lists(st.integers(0, images - 1), max_size=30)), np.int64)
        if valid[rows].all():
            assert np.array_equal(store.read("tokens", rows), expected[rows])
        else:
            with pytest.raises(DataError):
                store.read("tokens", rows)
        kept = rows[valid[rows]]
        assert np.array_equal(store.read("tokens", kept), expected[kept])

        outside = zarr.open_group(str(store.path / "features.zarr"), mode="r")["tokens"][:]
        assert np.array_equal(outside[valid], expected[valid])
        assert np.isnan(outside[~valid]).all()


@QUICK
@example(np.full((1, 1, 1), np.finfo(np.float32).max, np.float32))
@given(
    hnp.arrays(np.float32, st.tuples(SMALL, SMALL, SMALL), elements=st.floats(width=32)),
)
def test_int8_is_right_to_half_a_step(values):
    kept, scale = quantise(values)
    back = dequantise(kept, scale).astype(np.float64)
    finite = np.isfinite(values).all(-1)
    assert np.isnan(back[~finite]).all()
    exact = values[finite].astype(np.float64)
    step = np.abs(exact).max(-1, keepdims=True) / 127
    floor = 127 * np.finfo(np.float32).tiny  # below it a token counts as zeros
    assert np.all(np.abs(back[finite] - exact) <= np.maximum(step / 2 * (1 + 1e-5), floor))


@QUICK
@given(st.data())
def test_shards_are_read_as_they_were_encoded(data):
    shard_rows, count, width = data.draw(st.integers(1, 6)), data.draw(SMALL), data.draw(SMALL)
    count = min(count, shard_rows)
    array = ArraySpec("a", count, (width,), "float32", shard_rows)
    rows = data.draw(hnp.arrays(np.float32, (count, width)))
    present = data.draw(hnp.arrays(bool, count))
    encoded = encode_shard(array, rows, present)
    assert len(encoded) == array.shard_bytes(0)
    read, there = map_rows(array, 0, encoded)
    assert np.array_equal(there, present)
    assert read[present].tobytes() == rows[present].astype("<f4").tobytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@QUICK
@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_differences_are_empty_only_between_equal_specifications(one, other):
    same = canonical({k: v for k, v in one.items() if v is not None}) == canonical(
        {k: v for k, v in other.items() if v is not None}
    )
    assert not (list(differences(one, other)) and same)
    assert list(differences(one, one)) == []
    for name, a, b in differences(one, other):
        assert canonical(a) != canonical(b), name
