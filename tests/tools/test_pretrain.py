"""Pretraining: the loss is CLIP's, the data are what is said of them, and the shipped files are what it writes."""

import gzip
import json
from collections import Counter

import numpy as np
import open_clip
import pytest
import torch
from torch.nn.functional import normalize

from securefed.adapters import clip
from securefed.data import captions, world
from tools import batches, pretrain
from tools.vocabulary import write_vocabulary


@pytest.fixture
def features():
    torch.manual_seed(0)
    return normalize(torch.randn(12, 8), dim=1), normalize(torch.randn(12, 8), dim=1)


def test_with_distinct_captions_the_loss_is_open_clips(features):
    image, text = features
    scale = torch.tensor(14.0)
    expected = open_clip.ClipLoss()(image, text, scale)
    assert pretrain.contrastive_loss(image, text, torch.arange(12), scale) == pytest.approx(float(expected), rel=1e-5)


def test_equal_captions_weigh_as_many_columns_and_are_no_negatives_of_each_other(features):
    image, text = features
    caption_of = torch.tensor([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8])
    scale = torch.tensor(10.0)
    cosines = 10 * image @ text[caption_of].T
    same = caption_of[:, None] == caption_of[None]
    to_text = -(torch.logsumexp(cosines.masked_fill(~same, -torch.inf), 1) - torch.logsumexp(cosines, 1))
    to_image = -torch.log_softmax(cosines, 0).diagonal()
    found = pretrain.contrastive_loss(image, text[:9], caption_of, scale)
    assert found == pytest.approx(float((to_text + to_image).mean() / 2), rel=1e-5)


def test_the_learning_rate_rises_and_falls_to_nothing():
    rates = [pretrain.learning_rate(step, 100, 2.0) for step in range(100)]
    assert rates[4] == max(rates) == 2.0
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.01


def test_draws_repeat_with_seed_and_part_and_differ_otherwise():
    (first, *named), (again, *renamed) = (batches.draw(64, seed=1, part=2) for _ in range(2))
    assert np.array_equal(first, again)
    assert named == renamed
    for seed, part in ((2, 2), (1, 3)):
        assert not np.array_equal(first, batches.draw(64, seed=seed, part=part)[0])


def test_only_listed_domains_are_drawn_and_rare_ones_rarely():
    assert set(batches.SHARES) == set(captions.STYLED)
    assert not {"painting", "mosaic", "stipple", *world.SPARE_DOMAINS} & set(batches.SHARES)
    drawn = Counter(batches.draw(2000, seed=0, part=0)[1])
    assert sum(drawn[domain] for domain in world.PUBLIC_DOMAINS) > 1950
    assert min(drawn[domain] for domain in world.PUBLIC_DOMAINS) > 350


def test_a_batch_has_one_wording_for_plain_captions_and_one_a_style_otherwise():
    random = np.random.default_rng(0)
    domains, names = ["photo", "photo", "neon"], ["cat", "key", "cat"]
    seen = {tuple(batches.worded(domains, names, 0.5, random)) for _ in range(200)}
    plain = {tuple(wording.format(name) for name in names) for wording in captions.PLAIN}
    assert plain < seen
    assert all(cat.replace("cat", "key") == key for cat, key, _ in seen)
    assert len(seen - plain) == 3


def test_blur_keeps_a_share_as_it_is_and_reverses_digits_only():
    images = torch.zeros(400, 3, 32, 32)
    digits = torch.arange(400) % 2 == 0
    reversed_ = batches.blurred(images, digits, np.random.default_rng(0)).amax(dim=(1, 2, 3)) > 0.5
    assert not reversed_[~digits].any()
    share = batches.BLURRED * batches.REVERSED
    assert float(reversed_[digits].float().mean()) == pytest.approx(share, abs=0.08)


def test_the_shipped_vocabulary_and_configuration_are_what_the_script_writes(tmp_path):
    size = write_vocabulary(pretrain.WORDS, tmp_path / "vocabulary.gz")
    shipped = clip._ASSETS / f"{clip.EMBEDDED}.vocabulary.gz"
    assert gzip.decompress((tmp_path / "vocabulary.gz").read_bytes()) == gzip.decompress(shipped.read_bytes())
    assert json.loads((clip._ASSETS / f"{clip.EMBEDDED}.json").read_text()) == pretrain.model_config(size)


def test_the_log_names_the_mixture_that_the_script_has():
    first = json.loads((clip._ASSETS / f"{clip.EMBEDDED}.log.jsonl").read_text().splitlines()[0])
    assert {domain: tuple(shares) for domain, shares in first["shares"].items()} == batches.SHARES
    assert first["command"].startswith("python -m tools.pretrain ")
