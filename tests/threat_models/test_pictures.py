"""What an attacker sees: the right image without protection, and some other one with it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from securefed.threat_models import cohorts
from securefed.threat_models.games import reconstruction
from securefed.threat_models.pictures import GAP, SHOWN, pictures


def halves(picture):
    """The true images and what was rebuilt of them, one by one."""
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)))
    size = (len(pixels) - GAP) // 2
    assert pixels.shape == (2 * size + GAP, SHOWN * size, 3)
    return [np.split(half, SHOWN, axis=1) for half in (pixels[:size], pixels[-size:])]


def test_each_arm_has_a_picture_that_says_how_many_images_came_back():
    drawn = pictures(seed=0)

    assert [each.title for each in drawn] == [f"Defences: {arm.defences}" for arm in reconstruction.ROW.arms]
    shares = []
    for picture in drawn:
        same = sum(np.array_equal(one, other) for one, other in zip(*halves(picture), strict=True))
        assert f"{same} of {SHOWN} are the same image" in picture.text
        shares.append(same / SHOWN)
    assert shares[0] >= 0.9
    assert max(shares[-2:]) <= 0.25


def test_pictures_show_the_records_that_the_games_are_played_on():
    first = halves(pictures(seed=0)[0])[0]
    places = [each.target for each in reconstruction.some(reconstruction.ROW.arms[0], 0, SHOWN)]

    assert all(np.array_equal(one, cohorts.world().pixels[place]) for one, place in zip(first, places, strict=True))
