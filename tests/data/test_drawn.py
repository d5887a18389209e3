"""Drawings: drawn when they are looked at, and named by all that their pixels follow from."""

import ast
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import numpy as np
import pytest

from securefed.data import datasets, drawn, world
from securefed.data.drawn import Drawings
from securefed.errors import ChoiceError, DataError
from securefed.rng import seeded

ASKED = {"class_names": ("cat", "star", "two"), "per_class": 5, "seed": 3, "label": "some"}


def contents(**changes):
    return [picture.content for picture in Drawings(**ASKED | changes)]


def test_drawings_are_the_public_images_of_their_seed():
    images = datasets.public_images(ASKED["class_names"], ASKED["per_class"], rng=seeded(3, "some"))
    drawings = Drawings(**ASKED)

    assert np.array_equal(drawings.labels, images.labels)
    assert np.array_equal(np.stack([picture.decode() for picture in drawings]), images.pixels)


def test_nothing_is_drawn_to_name_a_drawing_and_all_are_drawn_once_by_several_threads(monkeypatch):
    rendered, original = [], world.render

    def render(domain, *args, **named):
        rendered.append(domain)
        return original(domain, *args, **named)

    monkeypatch.setattr(world, "render", render)
    drawings = Drawings(**ASKED)
    assert [picture.content for picture in drawings]
    assert not rendered
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda index: drawings[index].decode(), range(len(drawings))))
    assert rendered == list(world.PUBLIC_DOMAINS)


def test_every_drawing_has_a_content_of_its_own_and_keeps_it():
    assert len(set(contents())) == 15
    assert contents() == contents()
    assert {len(content) for content in contents()} == {32}


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ("star", "cat", "two")},
        {"class_names": ("cat", "star", "six")},
        {"per_class": 6},
        {"seed": 4},
        {"label": "others"},
        {"domains": ("photo", "neon")},
    ],
)
def test_what_is_asked_for_otherwise_is_another_content(changes):
    assert not set(contents()) & set(contents(**changes))


@pytest.mark.parametrize("name", drawn.DRAWN_BY)
def test_drawings_by_other_source_are_other_contents(monkeypatch, tmp_path, name):
    package = resources.files("securefed")
    for each in drawn.DRAWN_BY:
        (tmp_path / each).parent.mkdir(exist_ok=True)
        (tmp_path / each).write_bytes(package.joinpath(each).read_bytes())
    before = contents()
    monkeypatch.setattr(drawn.resources, "files", lambda _: tmp_path)
    assert contents() == before

    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")
    assert not set(contents()) & set(before)


def test_drawings_by_another_numpy_are_other_contents(monkeypatch):
    before = contents()
    monkeypatch.setattr(drawn.np, "__version__", "0.1")
    assert not set(contents()) & set(before)


def imported(name):
    """Return the modules of the package that one of its files imports from."""
    tree = ast.parse(resources.files("securefed").joinpath(name).read_text())
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {
        f"{each.removeprefix('securefed.').replace('.', '/')}.py" for each in found if each.startswith("securefed.")
    }


def test_all_source_that_draws_is_named():
    """All that the world is made of; what is left of the data sets is how classes and domains are laid out."""
    found, new = set(), {"data/world.py"}
    while new:
        found |= new
        new = set().union(*map(imported, new)) - found

    assert (found - {"errors.py"}) | {"data/datasets.py"} == set(drawn.DRAWN_BY)


def test_what_cannot_be_drawn_is_refused_at_once():
    with pytest.raises(DataError, match="per_class"):
        Drawings(**ASKED | {"per_class": 0})
    with pytest.raises(ChoiceError):
        Drawings(**ASKED | {"class_names": ("cat", "unicorn")})
