"""The transform: pixel for pixel open_clip's own, for pictures of any shape and every way of resizing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from securefed.adapters import clip
from securefed.adapters.transform import Transform
from securefed.errors import DataError

OTHER = {"mean": (0.48, 0.45, 0.40), "std": (0.26, 0.26, 0.27), "fill_color": 0}


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def transform(size=48, interpolation="bicubic", resize_mode="shortest"):
    return Transform.read({**OTHER, "size": size, "interpolation": interpolation, "resize_mode": resize_mode})


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("resize_mode", ["shortest", "squash", "longest"])
@given(height=st.integers(4, 120), width=st.integers(4, 120), seed=st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_it_equals_open_clip_bit_for_bit(interpolation, resize_mode, *, height, width, seed):
    ours = transform(48, interpolation, resize_mode)
    theirs = image_transform_v2(PreprocessCfg(**ours.describe()), is_train=False)
    image = noise(height, width, seed)
    fitted = ours.fit(image)
    assert fitted.shape == (48, 48, 3)
    assert fitted.dtype == np.uint8
    assert torch.equal(ours.normalised(fitted[None])[0], theirs(Image.fromarray(image)))


def test_a_picture_of_the_right_size_is_not_touched():
    image = noise(48, 48)
    assert transform(48).fit(image) is image


def test_a_wide_picture_keeps_its_centre_and_its_proportions():
    """A white square in the middle of a black strip fills the middle third after scaling, and stays a square."""
    image = np.zeros((30, 90, 3), np.uint8)
    image[10:20, 40:50] = 255
    fitted = transform(30).fit(image)
    assert fitted[10:20, 10:20].min() == 255
    assert fitted.astype(int).sum() == 255 * 3 * 100


@pytest.mark.parametrize("shape", [(10, 321, 3), (321, 10, 3), (1, 10**6, 3)])
def test_a_picture_that_is_a_line_is_refused_before_it_takes_all_memory(shape):
    with pytest.raises(DataError, match="too long and thin"):
        transform().fit(np.zeros(shape, np.uint8))
    assert transform().fit(np.zeros((10, 320, 3), np.uint8)).shape == (48, 48, 3)


def test_one_number_serves_all_channels_and_sizes_may_differ():
    read = Transform.read({**OTHER, "size": (20, 30), "mean": 0.5, "interpolation": "bicubic", "resize_mode": "squash"})
    assert read.mean == (0.5, 0.5, 0.5)
    assert read.fit(noise(64, 64)).shape == (20, 30, 3)


def test_arrays_that_are_not_square_are_encoded_as_open_clip_would():
    model = clip.load()
    images = np.stack([noise(40, 70, seed) for seed in range(3)])
    theirs = image_transform_v2(PreprocessCfg(**model.model.visual.preprocess_cfg), is_train=False)
    expected = torch.stack([theirs(Image.fromarray(image)) for image in images])
    assert torch.equal(model.prepared(images), expected)
    with torch.inference_mode():
        batch = torch.zeros(clip.BATCH, 3, 32, 32)
        batch[:3] = expected
        features = model.model.encode_image(batch, normalize=True)[:3]
    assert torch.allclose(model.encode_images(images), features, atol=1e-6)
