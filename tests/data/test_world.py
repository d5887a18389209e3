"""The generated world: repeatable, varied, and strict about names."""

import numpy as np
import pytest

from securefed.data import captions, world
from securefed.errors import ConfigError, DataError
from securefed.rng import seeded

EVERY_DOMAIN = (*world.DOMAINS, *world.SPARE_DOMAINS)
ALL_LABELS = np.arange(len(world.CLASSES))


def test_the_world_has_22_objects_ten_digits_and_twelve_domains():
    assert len(world.OBJECTS) == 22
    assert world.DIGITS == ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    assert world.CLASSES == world.OBJECTS + world.DIGITS
    assert len(set(EVERY_DOMAIN)) == 12
    assert set(world.PUBLIC_DOMAINS) < set(world.DOMAINS)
    assert not set(world.SPARE_DOMAINS) & set(world.DOMAINS)


@pytest.mark.parametrize("domain", EVERY_DOMAIN)
def test_images_repeat_with_the_seed_and_differ_without_it(domain):
    first = world.render(domain, ALL_LABELS, rng=seeded(5))
    assert first.shape == (32, 32, 32, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, world.render(domain, ALL_LABELS, rng=seeded(5)))
    other = world.render(domain, ALL_LABELS, rng=seeded(6))
    assert (first != other).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("domain", EVERY_DOMAIN)
def test_every_image_of_a_class_is_another_one(domain):
    images = world.render(domain, np.full(40, world.CLASSES.index("cat")), rng=seeded(0))
    assert len({image.tobytes() for image in images}) == 40


@pytest.mark.parametrize("domain", EVERY_DOMAIN)
def test_every_image_shows_something_and_saturates_nowhere_near_everywhere(domain):
    images = world.render(domain, np.repeat(ALL_LABELS, 4), rng=seeded(1)).astype(float)
    assert (images.std(axis=(1, 2, 3)) > 4).all()


def test_domains_look_unlike_one_another():
    means = [world.render(d, np.repeat(ALL_LABELS, 8), rng=seeded(2)).mean(axis=0) for d in EVERY_DOMAIN]
    for i, one in enumerate(means):
        assert all(np.abs(one - other).mean() > 3 for other in means[:i])


def test_classes_differ_by_more_than_their_jitter():
    images = world.render("silhouette", np.repeat(ALL_LABELS, 60), rng=seeded(3)).mean(axis=3)
    dark = (images < images.mean(axis=(1, 2), keepdims=True)).reshape(32, 60, 32, 32).mean(axis=1)
    for i, one in enumerate(dark):
        assert all(np.abs(one - other).max() > 0.15 for other in dark[:i])


def test_no_labels_give_no_images():
    assert world.render("photo", np.array([], np.int64), rng=seeded(0)).shape == (0, 32, 32, 3)


def test_an_unknown_domain_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"'sketsh' is unknown; did you mean 'sketch'\? Known: photo, .*thermal"):
        world.render("sketsh", ALL_LABELS, rng=seeded(0))


@pytest.mark.parametrize("label", [-1, 32])
def test_a_label_outside_the_world_is_refused(label):
    with pytest.raises(DataError, match=r"0\.\.31"):
        world.render("photo", np.array([label]), rng=seeded(0))


def test_class_names_become_indices_and_unknown_ones_are_refused():
    assert [world.CLASSES[i] for i in world.class_indices(["nine", "house"])] == ["nine", "house"]
    with pytest.raises(ConfigError, match="'airplane' is unknown; did you mean 'plane'"):
        world.class_indices(["airplane"])


def test_every_style_has_equally_many_wordings_with_room_for_one_class():
    assert set(world.PUBLIC_DOMAINS) <= set(captions.STYLED) <= set(world.DOMAINS)
    assert len({len(wordings) for wordings in captions.STYLED.values()}) == 1
    for wording in (*captions.PLAIN, *(w for wordings in captions.STYLED.values() for w in wordings)):
        assert wording.count("{}") == 1
