"""Menagerie: the drawing is exact, the truth is true, and the dataset is hard enough but not too hard."""

from __future__ import annotations

import hashlib
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zslcache.data import registry
from zslcache.data.menagerie import draw, invented_classes, paint, png, prepare, prepare_menagerie, real_species
from zslcache.data.menagerie.canvas import Canvas
from zslcache.data.menagerie.dice import Dice
from zslcache.data.menagerie.painting import compose
from zslcache.data.menagerie.raster import SIDE, Field, Frame, unit
from zslcache.data.menagerie.species import Species, complete
from zslcache.data.menagerie.table import UNSEEN
from zslcache.data.menagerie.vocabulary import ALWAYS, COLOURS, COLUMN, FAMILIES, GROUPS, LOCAL, NAMES, word_vectors
from zslcache.errors import UsageError
from zslcache.home import Home

SIZE = 12


@pytest.fixture(scope="module")
def drawn():
    return draw(SIZE)


def class_attributes():
    return np.stack([species.attributes for species in real_species()])


def per_class(found, labels):
    return np.mean([(found == labels)[labels == label].mean() for label in np.unique(labels)])


# ---- exact bytes


def test_a_small_draw_has_the_bytes_that_every_machine_draws():
    pixels, _, truth = draw(1, seed=7)
    digest = hashlib.sha256(pixels.tobytes() + truth.attributes.tobytes() + truth.boxes.astype("<i2").tobytes())
    assert digest.hexdigest() == "8dd9e311cfbd5102aa9aa4c15592a70a37e8534df9a8de1bade5a83452609b32"


def test_one_seed_draws_the_same_again_and_another_does_not():
    few = real_species()[::9]
    first, again, other = draw(2, 5, few), draw(2, 5, few), draw(2, 6, few)
    assert first[0].tobytes() == again[0].tobytes()
    assert first[2].boxes.tobytes() == again[2].boxes.tobytes()
    assert first[0].tobytes() != other[0].tobytes()


def test_an_image_does_not_depend_on_how_many_are_drawn(drawn):
    pixels, labels, truth = drawn
    row = 23 * SIZE + 5
    alone = paint(real_species()[labels[row]], 5)
    np.testing.assert_array_equal(alone.pixels, pixels[row])
    np.testing.assert_array_equal(alone.boxes, truth.boxes[row])


def test_word_vectors_do_not_change_and_follow_meaning():
    vectors = word_vectors()
    unit_vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near = unit_vectors @ unit_vectors.T

    def like(one, other):
        return near[COLUMN[one], COLUMN[other]]

    assert like("long tail", "bushy tail") > like("long tail", "at night") + 0.2
    assert like("in snow", "in forest") > like("in snow", "mane") + 0.2
    assert (
        hashlib.sha256(vectors.astype("<f4").tobytes()).hexdigest()
        == "08989bee6024b93abe48543ba29cd934f45c1c5379e9019b87e6e0996df84723"
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_png_files_decode_to_the_pixels(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(png.encode(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)


# ---- the rasteriser, against counting points


def inside_count(inside, fine=6):
    """Coverage by brute force: the share of a fine grid of points in each pixel that is inside."""
    at = (np.arange(SIDE * fine) + 0.5) / fine
    x, y = np.meshgrid(at, at)
    return inside(x, y).reshape(SIDE, fine, SIDE, fine).mean(axis=(1, 3))


def tapered(x, y):
    """Discs along the segment from (20, 30) with radius 6 to (70, 60) with radius 2."""
    hit = np.zeros(x.shape, dtype=bool)
    for t in np.linspace(0, 1, 100):
        hit |= np.hypot(x - (20 + 50 * t), y - (30 + 30 * t)) < 6 - 4 * t
    return hit


@pytest.mark.parametrize(
    ("field", "inside"),
    [
        (
            Field(Frame(40, 50, 1.5, tilt=(0.6, 0.8))).ellipse((0, 0), (20, 8)),
            lambda x, y: (
                ((0.6 * (x - 40) + 0.8 * (y - 50)) / 30) ** 2 + ((0.6 * (y - 50) - 0.8 * (x - 40)) / 12) ** 2 < 1
            ),
        ),
        (Field(Frame()).disc((30.3, 40.6), 11), lambda x, y: np.hypot(x - 30.3, y - 40.6) < 11),
        (Field(Frame()).taper((20, 30), 6, (70, 60), 2), tapered),
        (
            Field(Frame(96, 0, 2, mirror=-1)).polygon([(5, 5), (40, 10), (10, 40)]),
            lambda x, y: (
                ((96 - x) / 2 * 5 - (y / 2 - 5) * 35 < 25)
                & (((96 - x) / 2 - 5) * 35 - (y / 2 - 5) * 5 > 0)
                & ((96 - x) / 2 + y / 2 < 50)
            ),
        ),
        (
            Field(Frame()).disc((30, 30), 9).disc((60, 95), 14),
            lambda x, y: (np.hypot(x - 30, y - 30) < 9) | (np.hypot(x - 60, y - 95) < 14),
        ),
    ],
    ids=["ellipse", "disc", "taper", "mirrored polygon", "union over the edge"],
)
def test_shapes_cover_what_counting_points_says(field, inside):
    expected, got = inside_count(inside), field.coverage()
    assert expected.sum() > 100
    assert np.abs(expected - got).max() < 0.35  # a corner pixel is only as good as its distance
    assert abs(expected.sum() - got.sum()) < 0.012 * expected.sum()
    outside = np.ones((SIDE, SIDE), dtype=bool)
    outside[field.box] = False
    assert not expected[outside].any()


def test_blending_only_adds_to_a_union():
    def two(blend):
        return Field(Frame(), blend).disc((40, 48), 10).disc((56, 48), 10).coverage()

    assert (two(6) >= two(0)).all()
    assert two(6).sum() > two(0).sum() + 5


def test_what_is_painted_over_is_no_longer_marked():
    canvas = Canvas()
    canvas.paint(Field(Frame()).disc((30, 40), 10), (200, 0, 0), marks=0b01)
    canvas.overlay(Field(Frame()).disc((30, 40), 4), (0, 0, 0), np.ones((SIDE, SIDE), np.float32), marks=0b10)
    np.testing.assert_array_equal(canvas.boxes(3), [[20, 30, 40, 50], [26, 36, 34, 44], [-1, -1, -1, -1]])
    canvas.paint(Field(Frame()).polygon([(30, 0), (96, 0), (96, 96), (30, 96)]), (0, 0, 0))
    np.testing.assert_array_equal(canvas.boxes(2), [[20, 30, 30, 50], [26, 36, 30, 44]])
    canvas.paint(Field(Frame()).disc((30, 40), 6), (0, 0, 0))
    np.testing.assert_array_equal(canvas.boxes(2)[1], [-1, -1, -1, -1])


# ---- the table


def test_there_are_fifty_classes_ten_of_them_unseen_and_forty_attributes_or_more():
    names = [species.name for species in real_species()]
    assert len(names) == len(set(names)) == 50
    assert len(set(UNSEEN)) == 10
    assert set(UNSEEN) <= set(names)
    assert len(set(NAMES)) == len(NAMES) >= 40
    assert set(GROUPS) == {"global", "context", "local"}


@pytest.mark.parametrize("species", [*real_species(), *invented_classes(40)], ids=lambda species: species.name)
def test_attributes_are_probabilities(species):
    row = species.attributes
    for families in FAMILIES.values():
        for family in families:
            total = math.fsum(row[COLUMN[name]] for name in family)
            assert total <= 1 + 1e-6, family
            assert family not in ALWAYS or abs(total - 1) < 1e-6, family
    assert row.min() >= 0
    assert all(species.probability[name] <= 0.5 for name in species.male)


def test_what_unseen_classes_have_can_be_learned_from_seen_ones():
    rows = class_attributes()
    unseen = np.array([species.name in UNSEEN for species in real_species()])
    needed = (rows[unseen] >= 0.4).any(axis=0)
    taught = (rows[~unseen] >= 0.4).any(axis=0)
    assert not [NAMES[k] for k in np.flatnonzero(needed & ~taught)]


@pytest.mark.parametrize("name", ["deer", "duck", "polar bear", "clownfish", "crocodile"])
def test_animals_have_attributes_as_often_as_their_class_says(name):
    species = next(species for species in real_species() if species.name == name)
    samples = [species.sample(Dice("frequency", number)) for number in range(1200)]
    often = np.mean([[attribute in traits for attribute in NAMES] for traits in samples], axis=0)
    np.testing.assert_allclose(often, species.attributes, atol=0.05)


def test_swimmers_are_in_water_and_families_exclude_each_other():
    for number in range(300):
        traits = real_species()[number % 50].sample(Dice("exclusion", number))
        assert "swimming" not in traits or "in water" in traits
        for families in FAMILIES.values():
            assert all(len(traits.intersection(family)) <= 1 for family in families)
        assert all(len(traits.intersection(family)) == 1 for family in ALWAYS)


# ---- the truth


def test_boxes_are_where_local_attributes_are_visible_and_nowhere_else(drawn):
    _, _, truth = drawn
    local = np.array([group == "local" for group in GROUPS])
    left, top, right, bottom = np.moveaxis(truth.boxes, 2, 0)
    seen = truth.attributes & local
    assert (truth.boxes[~seen] == -1).all()
    assert (left[seen] >= 0).all()
    assert (top[seen] >= 0).all()
    assert (right[seen] <= SIDE).all()
    assert (bottom[seen] <= SIDE).all()
    assert (right[seen] > left[seen]).all()
    assert (bottom[seen] > top[seen]).all()
    assert truth.attributes[:, local].any(axis=0).all(), "an attribute that is never drawn"


def drawable(plan, *traits):
    """A species that always has these traits, and a brown body unless they name another."""
    if not any(name in COLOURS for name in traits):
        traits += ("brown body",)
    return Species("probe", complete(plan, {"in snow": 1.0} | dict.fromkeys(traits, 1.0)), frozenset())


def test_the_box_of_a_red_crown_is_where_the_red_is():
    bird = drawable("bird-shaped", "black body", "red crown", "large", "dark legs")
    for number in range(8):
        red, green, blue = compose(bird, number)[0].pixels
        rows, columns = np.nonzero((red > 150) & (red > 2.4 * green) & (red > 2.4 * blue))
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        box = paint(bird, number).boxes[COLUMN["red crown"]]
        assert np.abs(box - expected).max() <= 3


@pytest.mark.parametrize("plan", ["four-legged", "bird-shaped"])
@pytest.mark.parametrize("name", ["long neck", "long ears", "striped", "dark legs", "shell", "spines", "long tail"])
def test_an_attribute_changes_the_picture_inside_its_box(plan, name):
    if (plan, name) == ("bird-shaped", "long ears"):
        plan = "reptile-shaped"
    painting = paint(drawable(plan, name), 3)
    left, top, right, bottom = painting.boxes[COLUMN[name]]
    assert (right - left) * (bottom - top) < 0.5 * SIDE * SIDE


@pytest.mark.parametrize("name", LOCAL)
def test_every_local_attribute_can_be_seen(name):
    plan = next(
        plan
        for plan in ("four-legged", "bird-shaped", "fish-shaped")
        if paint(drawable(plan, name), 0).attributes[COLUMN[name]]
    )
    seen = [paint(drawable(plan, name), number).attributes[COLUMN[name]] for number in range(4)]
    assert sum(seen) >= 3


# ---- hard enough, but not too hard


def test_true_attributes_tell_unseen_classes_apart(drawn):
    _, labels, truth = drawn
    unseen = np.flatnonzero([species.name in UNSEEN for species in real_species()])
    test = np.isin(labels, unseen)
    sure = np.clip(class_attributes()[unseen].astype(np.float64), 0.02, 0.98)
    rows = truth.attributes[test]
    found = unseen[(rows @ np.log(sure).T + ~rows @ np.log(1 - sure).T).argmax(axis=1)]
    assert per_class(found, labels[test]) >= 0.95


def test_raw_pixels_do_not(drawn):
    pixels, labels, _ = drawn
    classes = class_attributes()
    unseen = np.flatnonzero([species.name in UNSEEN for species in real_species()])
    test = np.isin(labels, unseen)
    rows = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    targets = classes[labels[~test]]
    rows -= rows[~test].mean(axis=0)
    gram = rows[~test] @ rows[~test].T + 1000 * np.eye((~test).sum(), dtype=np.float32)
    seen = rows[test] @ (rows[~test].T @ np.linalg.solve(gram, targets - targets.mean(axis=0))) + targets.mean(axis=0)
    directions = classes[unseen] / np.linalg.norm(classes[unseen], axis=1, keepdims=True)
    assert per_class(unseen[(seen @ directions.T).argmax(axis=1)], labels[test]) < 0.35


# ---- invented animals


def test_invented_animals_are_unlike_each_other_and_all_real_ones():
    invented = invented_classes(60, seed=1)
    told_apart_by = np.array([group != "context" for group in GROUPS])
    usual = np.stack([species.attributes for species in (*real_species(), *invented)])[:, told_apart_by] >= 0.45
    for row in range(50, len(usual)):
        assert (usual[:row] != usual[row]).sum(axis=1).min() >= 4
    assert invented_classes(20, seed=1) == invented[:20]
    assert invented_classes(20, seed=2) != invented[:20]
    assert all(paint(species, 0).pixels.std() > 10 for species in invented)


# ---- the dataset on disk


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("prepared"))
    return home, prepare_menagerie(home, size=3)


def test_prepare_writes_the_drawn_images_and_registers_them(prepared):
    home, dataset = prepared
    np.testing.assert_array_equal(dataset.labels, np.repeat(np.arange(50), 3))
    assert dataset.images.names[33 * 3 + 2] == "polar_bear/002.png"
    for row in (0, 77, 149):
        painting = paint(real_species()[row // 3], row % 3)
        with Image.open(io.BytesIO(dataset.images.read(row))) as image:
            np.testing.assert_array_equal(np.asarray(image), painting.pixels)
        np.testing.assert_array_equal(dataset.truth.boxes[row], painting.boxes)
    loaded = registry.load(home, "menagerie")
    assert loaded.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(loaded.truth.attributes, dataset.truth.attributes)


def test_the_split_holds_out_ten_classes_and_a_fifth_of_the_rest(prepared):
    _, dataset = prepared
    names = dataset.semantics.class_names
    assert {names[row] for row in dataset.split.unseen} == set(UNSEEN)
    labels = np.repeat(np.arange(50), 10)
    split = prepare.split_of(labels, seed=0)
    np.testing.assert_array_equal(np.bincount(labels[split.test_seen], minlength=50)[split.seen], 2)
    np.testing.assert_array_equal(np.bincount(labels[split.trainval], minlength=50)[split.seen], 8)
    assert len(split.seen) == 40
    assert len(np.unique(labels[split.val])) == 10


def test_prepare_reuses_what_is_there_and_draws_what_is_not(tmp_path, monkeypatch):
    home, drawn = Home(tmp_path), []

    def quick(species, number, seed):
        drawn.append(number)
        return quick_paintings[seed]

    quick_paintings = [paint(real_species()[0], 0, seed) for seed in (0, 1)]
    monkeypatch.setattr(prepare, "paint", quick)
    first = prepare_menagerie(home, size=4)
    assert len(drawn) == 200
    assert prepare_menagerie(home, size=4).fingerprint == first.fingerprint
    assert len(drawn) == 200
    (first.images.root / first.images.names[3]).unlink()
    prepare_menagerie(home, size=4)
    assert len(drawn) == 400
    old = first.images.read(0)
    prepare_menagerie(home, size=3, seed=1)
    assert len(drawn) == 550
    assert first.images.read(0) != old
    assert len(list(first.images.root.rglob("*.png"))) == 150


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot have 2 images a class") as error:
        prepare_menagerie(Home(tmp_path), size=2)
    assert "3 or more" in error.value.hint


def test_directions_have_length_one():
    assert math.hypot(*unit(-3, 4)) == pytest.approx(1)
