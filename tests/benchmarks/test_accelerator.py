"""The measurement of an accelerator measures the package's own step, and says why where there is none."""

import torch

from benchmarks import accelerator
from securefed.adapters.cachefl import CacheFL
from securefed.training import clipped_sum


def test_the_step_that_is_measured_is_the_cache_adapters():
    keys, text, features = (accelerator._unit(count, "cpu") for count in (48, 3, 20))
    labels = torch.arange(20) % 3
    cache = CacheFL(
        keys=keys.double(),
        text=text.double(),
        scale=100.0,
        alpha=3.0,
        beta=3.0,
        whitening=None,
        provenance="public",
    )

    found = accelerator.clipped_sum(keys, text, features, labels, clip_norm=1.0)

    expected = torch.from_numpy(clipped_sum(cache, features, labels, clip_norm=1.0)).reshape(48, 512)
    assert torch.allclose(found.double(), expected, atol=1e-4)


def test_without_a_device_there_is_a_reason_and_no_figure(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert list(accelerator.run(quick=True)) == ["skipped"]
