"""Data sets: what is in them, how they are split, what is refused."""

import numpy as np
import pytest

from securefed.data import datasets, world
from securefed.data.datasets import Images
from securefed.errors import ConfigError, DataError
from securefed.rng import seeded


def hashes(images):
    return {image.tobytes() for image in images.pixels}


def counts(indices, length):
    return np.bincount(indices, minlength=length)


def test_digits_are_the_1797_real_ones_with_a_stratified_fifth_held_out():
    data = datasets.load("digits", seed=0)
    assert data.train.class_names == data.test.class_names == world.DIGITS
    assert (len(data.train), len(data.test)) == (1437, 360)
    share = counts(data.test.labels, 10) / (counts(data.test.labels, 10) + counts(data.train.labels, 10))
    assert (np.abs(share - 0.2) < 0.005).all()


def test_digits_are_grey_28_pixels_wide_and_have_a_black_border():
    pixels = datasets.load("digits", seed=0).train.pixels
    assert pixels.shape[1:] == (32, 32, 3)
    assert (pixels == pixels[..., :1]).all()
    inner = pixels[:, 2:-2, 2:-2]
    assert pixels.sum(dtype=np.int64) == inner.sum(dtype=np.int64)
    assert inner.max() == 255


def test_digits_keep_their_labels_and_show_them_upright():
    """The mean one has ink in its centre and the mean zero has not; the mean seven has it above and not below left."""
    train = datasets.load("digits", seed=0).train
    mean = [train.pixels[train.labels == k, ..., 0].mean(axis=0) for k in range(10)]
    assert mean[1][14:18, 14:18].mean() > 2 * mean[0][14:18, 14:18].mean()
    assert mean[7][4:10].mean() > 2 * mean[7][22:28, :12].mean()


@pytest.mark.parametrize(("name", "records"), [("digits", None), ("world:neon,chalk", datasets.WORLD_TEST)])
def test_the_test_split_never_meets_the_training_split(name, records):
    """As many of both, so that one stream of randomness would draw the same images twice."""
    data = datasets.load(name, seed=3, records=records)
    assert len(hashes(data.train)) == len(data.train)
    assert not hashes(data.train) & hashes(data.test)


@pytest.mark.parametrize("name", ["digits", "world:sketch"])
def test_splits_repeat_with_the_seed_and_differ_without_it(name):
    first, again, other = (datasets.load(name, seed=seed, records=200) for seed in (1, 1, 2))
    assert np.array_equal(first.train.pixels, again.train.pixels)
    assert np.array_equal(first.test.labels, again.test.labels)
    assert hashes(first.test) == hashes(again.test) != hashes(other.test)
    assert hashes(first.train) != hashes(other.train)


def test_fewer_digits_are_a_part_of_all_of_them_and_leave_the_test_split_alone():
    part, whole = datasets.load("digits", seed=4, records=100), datasets.load("digits", seed=4)
    assert len(part.train) == 100
    assert hashes(part.train) < hashes(whole.train)
    assert np.array_equal(part.test.pixels, whole.test.pixels)


def test_chosen_digits_get_labels_in_the_order_of_their_names():
    data = datasets.load("digits", seed=0, classes=["seven", "one"])
    assert data.train.class_names == ("seven", "one")
    whole = datasets.load("digits", seed=0)
    sevens = hashes(whole.train.take(np.flatnonzero(whole.train.labels == 7))) | hashes(
        whole.test.take(np.flatnonzero(whole.test.labels == 7))
    )
    assert hashes(data.train.take(np.flatnonzero(data.train.labels == 0))) < sevens


@pytest.mark.parametrize(
    ("records", "domains"), [(3200, "sketch,neon,chalk,painting"), (101, "neon,chalk"), (7, "photo")]
)
def test_generated_sets_are_balanced_over_domains_and_classes(records, domains):
    data = datasets.load(f"world:{domains}", seed=0, records=records)
    assert data.train.domain_names == tuple(domains.split(","))
    assert data.train.class_names == world.OBJECTS
    for images, count in ((data.train, records), (data.test, datasets.WORLD_TEST)):
        assert len(images) == count
        for number in (counts(images.labels, 22), counts(images.domains, len(images.domain_names))):
            assert number.max() - number.min() <= 1
        pairs = counts(images.labels * len(images.domain_names) + images.domains, 22 * len(images.domain_names))
        assert pairs.max() - pairs.min() <= 1


def test_generated_sets_have_3200_records_unless_asked_otherwise_and_any_classes():
    data = datasets.load("world:mosaic", seed=0, classes=["three", "cat"])
    assert len(data.train) == 3200
    assert data.train.class_names == ("three", "cat")


def test_generated_images_show_their_label():
    """The same seed and domain drawn directly gives the images of that domain's part."""
    images = datasets.public_images(["moon", "two"], 5, domains=["photo"], rng=seeded(9))
    expected = world.render("photo", world.class_indices(["moon"] * 5 + ["two"] * 5), rng=seeded(9))
    assert np.array_equal(images.pixels, expected)


def test_public_images_are_class_balanced_over_the_public_domains():
    images = datasets.public_images(world.DIGITS, 40, rng=seeded(0))
    assert images.domain_names == world.PUBLIC_DOMAINS
    assert (counts(images.labels, 10) == 40).all()
    assert (counts(images.domains, 4) == 100).all()


def test_taking_images_keeps_pixels_labels_and_domains_together():
    images = datasets.public_images(world.OBJECTS, 8, rng=seeded(0))
    taken = images.take(np.array([170, 3, 3]))
    for part in ("pixels", "labels", "domains"):
        assert np.array_equal(getattr(taken, part), getattr(images, part)[[170, 3, 3]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mnist"}, "'mnist' is unknown; .* Known: digits, world, folder"),
        ({"name": "wrold:neon"}, "family of data set 'wrold:neon' 'wrold' is unknown; did you mean 'world'"),
        ({"name": "digtis"}, "did you mean 'digits'"),
        ({"name": "folder"}, "'folder' is not one; write 'folder:PATH'"),
        ({"name": "world"}, "domain '' is unknown"),
        ({"name": "world:neon,chulk"}, "'chulk' is unknown; did you mean 'chalk'"),
        ({"name": "world:neon,neon"}, "names a domain twice"),
        ({"name": "world:neon", "classes": ["rabit"]}, "'rabit' is unknown; did you mean 'rabbit'"),
        ({"name": "world:neon", "classes": ["cat", "cat"]}, "name at least one, and each once"),
        ({"name": "world:neon", "classes": []}, "classes are none"),
        ({"name": "digits", "classes": ["cat"]}, "class 'cat' is unknown"),
        ({"name": "digits:neon"}, "is not one; write 'digits'"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        datasets.load(**arguments, seed=0)


@pytest.mark.parametrize("name", ["digits", "world:neon"])
@pytest.mark.parametrize("records", [0, -5])
def test_fewer_than_one_record_is_refused(name, records):
    with pytest.raises(DataError, match=f"records is {records}; a data set has at least one"):
        datasets.load(name, seed=0, records=records)


def test_more_digits_than_there_are_are_refused():
    with pytest.raises(DataError, match=r"1500 records were asked for; 'digits' has 14\d\d"):
        datasets.load("digits", seed=0, records=1500)


def test_public_images_without_any_are_refused():
    with pytest.raises(DataError, match="per_class is 0"):
        datasets.public_images(world.DIGITS, 0, rng=seeded(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixels": np.zeros((2, 4, 4, 3), np.float32)}, "uint8"),
        ({"pixels": np.zeros((2, 4, 4), np.uint8)}, "shape"),
        ({"labels": np.zeros(3, np.int64)}, r"labels have shape \(3,\)"),
        ({"labels": np.zeros(2, np.int32)}, "int64"),
        ({"labels": np.array([0, 2])}, r"labels lie in 0\.\.2; there are 2 names"),
        ({"domains": np.array([-1, 0])}, "domains lie in -1"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, message):
    whole = {
        "pixels": np.zeros((2, 4, 4, 3), np.uint8),
        "labels": np.array([0, 1]),
        "domains": np.array([0, 0]),
        "class_names": ("a", "b"),
        "domain_names": ("d",),
    }
    Images(**whole)
    with pytest.raises(DataError, match=message):
        Images(**{**whole, **change})
