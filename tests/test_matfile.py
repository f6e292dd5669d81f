"""Our reader of MATLAB files agrees with scipy's on whole files, and only refuses damaged ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.io import loadmat, savemat

from tests.matfiles import cells
from zslcache.data.matfile import MatError, read_mat

NUMBERS = st.sampled_from(["f8", "f4", "u1", "u2", "i2", "i4", "u4", "i8", "u8", "i1"]).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=9))
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
VARIABLES = st.dictionaries(
    st.text("abc_", min_size=1, max_size=12).filter(lambda name: name[0] != "_"),
    NUMBERS | st.lists(TEXT, min_size=1, max_size=6).map(cells) | TEXT,
    min_size=1,
    max_size=4,
)
EACH = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    if theirs.dtype != object:
        return (
            ours.dtype == theirs.dtype
            and ours.shape == theirs.shape
            and np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")
        )
    pairs = zip(ours.ravel(), theirs.ravel(), strict=True)
    return ours.shape == theirs.shape and all(one.tolist() == other.tolist() for one, other in pairs)


@EACH
@given(variables=VARIABLES, compressed=st.booleans(), data=st.data())
def test_whole_files_are_read_as_scipy_reads_them(tmp_path, variables, compressed, data):
    path = tmp_path / "x.mat"
    savemat(path, variables, do_compression=compressed)
    wanted = data.draw(st.sets(st.sampled_from([*variables, "absent"])))
    theirs = loadmat(path)
    ours = read_mat(path, wanted)
    assert set(ours) == wanted & set(variables)
    assert all(
        same(ours[name].reshape(-1) if theirs[name].dtype.kind == "U" else ours[name], theirs[name]) for name in ours
    )


@EACH
@given(variables=VARIABLES, compressed=st.booleans(), data=st.data())
def test_damaged_files_are_refused_or_read(tmp_path, variables, compressed, data):
    path = tmp_path / "x.mat"
    savemat(path, variables, do_compression=compressed)
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(124, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        found = read_mat(path, variables)
    except MatError:
        return
    assert set(found) <= set(variables)


@pytest.mark.parametrize("cut", [1, 8, 100])
@pytest.mark.parametrize("compressed", [True, False])
def test_files_that_were_cut_short_are_refused(tmp_path, cut, compressed):
    path = tmp_path / "x.mat"
    savemat(path, {"x": np.random.default_rng(0).random((20, 20))}, do_compression=compressed)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(MatError):
        read_mat(path, ["x"])


def test_a_flipped_bit_in_packed_numbers_never_changes_them(tmp_path):
    path, numbers = tmp_path / "x.mat", np.random.default_rng(0).random((20, 20))
    savemat(path, {"x": numbers}, do_compression=True)
    content, refused = bytearray(path.read_bytes()), 0
    places = range(128, len(content), 7)
    for place in places:
        content[place] ^= 4
        path.write_bytes(content)
        content[place] ^= 4
        try:
            found = read_mat(path, ["x"])
        except MatError:
            refused += 1
        else:  # the bit was of the name, or filled up a byte
            assert "x" not in found or np.array_equal(found["x"], numbers)
    assert refused > 0.98 * len(places)


@pytest.mark.parametrize(
    "value", [{"a": 1}, np.array([[1j]]), cells([cells(["x"])])], ids=["struct", "complex", "nested"]
)
def test_what_no_benchmark_has_is_refused_only_if_asked_for(tmp_path, value):
    path = tmp_path / "x.mat"
    savemat(path, {"odd": value, "x": np.ones((2, 2))})
    if not np.iscomplexobj(value):
        assert read_mat(path, ["x"])["x"].tolist() == [[1, 1], [1, 1]]
    with pytest.raises(MatError):
        read_mat(path, ["odd"])
