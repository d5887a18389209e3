"""The embedded text tower in float64, and open_clip's own code with low-rank changes or other words in it."""

import copy
import functools

import torch
from torch.nn.utils import parametrize

from securefed.adapters import clip
from securefed.adapters.flora import LowRankText
from securefed.adapters.text_tower import TextTower
from securefed.rng import seeded

NAMES = ("cup", "fish", "tree", "house")
TEMPLATES = ("a photo of a {}.",)


@functools.cache
def model():
    return clip.load()


@functools.cache
def tower(names=NAMES, templates=TEMPLATES):
    return TextTower.of(model(), names, templates)


def low_rank(sites=("out",), rank=2, alpha=4.0):
    return LowRankText.drawn(tower(), rng=seeded(1), sites=sites, rank=rank, alpha=alpha)


def moved(text, size=0.02):
    """Return parameters that are not where they started."""
    return text.start + size * torch.from_numpy(seeded(2).generator().normal(size=len(text.start)))


class Plus(torch.nn.Module):
    """A weight with a low-rank change: ``h = W x + b + alpha (x A) B``."""

    def __init__(self, a, b, alpha):
        super().__init__()
        self.a, self.b, self.alpha = torch.nn.Parameter(a), torch.nn.Parameter(b), alpha

    def forward(self, weight):
        return weight + self.alpha * (self.a @ self.b).T


class Packed(torch.nn.Module):
    """Low-rank changes of thirds of a packed weight."""

    def __init__(self, thirds, alpha):
        super().__init__()
        self.thirds = torch.nn.ModuleDict({str(third): Plus(a, b, alpha) for third, (a, b) in thirds.items()})

    def forward(self, weight):
        parts = list(weight.chunk(3))
        for third, plus in self.thirds.items():
            parts[int(third)] = plus(parts[int(third)])
        return torch.cat(parts)


class Published(torch.nn.Module):
    """CLIP by open_clip, with parametrised weights: what a user of the published method would write."""

    def __init__(self, factors, sites, rank, alpha):
        super().__init__()
        self.clip = copy.deepcopy(model().model).double().requires_grad_(False)
        self.tokens = model().tokenizer([TEMPLATES[0].format(name) for name in NAMES])
        left = factors.clone()

        def take(rows, columns):
            nonlocal left
            part, left = left[: rows * columns], left[rows * columns :]
            return part.reshape(rows, columns).clone()

        for block in self.clip.transformer.resblocks:
            width, wide = block.mlp.c_fc.weight.shape[1], block.mlp.c_fc.weight.shape[0]
            thirds = {}
            for site in sites:
                if site == "out":
                    plus = Plus(take(width, rank), take(rank, width), alpha)
                    parametrize.register_parametrization(block.attn.out_proj, "weight", plus)
                elif site == "mlp":
                    plus = Plus(take(width, rank), take(rank, wide), alpha)
                    parametrize.register_parametrization(block.mlp.c_fc, "weight", plus)
                    plus = Plus(take(wide, rank), take(rank, width), alpha)
                    parametrize.register_parametrization(block.mlp.c_proj, "weight", plus)
                else:
                    thirds["qkv".index(site)] = (take(width, rank), take(rank, width))
            if thirds:
                parametrize.register_parametrization(block.attn, "in_proj_weight", Packed(thirds, alpha))
        assert not len(left)

    def texts(self):
        found = self.clip.encode_text(self.tokens)
        return found / found.norm(dim=1, keepdim=True)

    def forward(self, features):
        return model().logit_scale * features @ self.texts().T

    def factors(self):
        return [value for name, value in self.named_parameters() if name.endswith((".a", ".b"))]


def one_by_one(module, parameters, features, labels):
    """Return each record's gradient by plain autograd, record after record."""
    rows = []
    for feature, label in zip(features, labels, strict=True):
        loss = torch.nn.functional.cross_entropy(module(feature[None]), label[None])
        rows.append(torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, parameters)]))
    return torch.stack(rows)


class Tuned(torch.nn.Module):
    """Class scores as a module whose only parameter is the vector behind the texts."""

    def __init__(self, text, parameters):
        super().__init__()
        self.text, self.parameters_ = text, torch.nn.Parameter(parameters.clone())

    def forward(self, features):
        return self.text.tower.scale * features @ self.text.texts(self.parameters_).T
