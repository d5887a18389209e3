"""Pretrain the embedded CLIP model on generated images; see ``tools/README.md``.

A genuine ``open_clip`` CLIP (ModifiedResNet image tower, two-layer text tower) learns from pairs of generated images
and captions, contrastively (Radford et al. 2021, section 2.3), in minutes on two cores. It sees the public domains
often, three others rarely and the rest never, so that clients have something left to learn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import open_clip
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import interpolate

from securefed import rng
from securefed.data import captions, world
from securefed.data.scene import SIZE
from securefed.data.world import Pixels
from tools.vocabulary import write_vocabulary

NAME = "securefed-tiny"
SHARES = {
    "photo": 0.25,
    "cartoon": 0.24,
    "clipart": 0.24,
    "silhouette": 0.24,
    "sketch": 0.014,
    "neon": 0.008,
    "chalk": 0.008,
}
"""How often pretraining draws each domain; domains that are not listed are never drawn."""

PLAIN_SHARE = 0.6
"""Share of the batches whose captions name only the class."""

SIMPLE_START = 0.08
"""Share of the steps, from the first, that see plain captions only: styles are easier than classes and would be learnt
instead."""

TEXT_SHARE = 0.25
"""Learning rate of the text tower, relative to the image tower."""

BLURRED = 0.3
"""Share of the images that lose their detail, as small pictures scaled up have lost theirs."""

TEXTURED = 0.3
"""Share of the images with a rough coloured texture over them."""

WORDS = Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split()
"""What the vocabulary can say in one token a word, as CLIP's own can."""


def model_config(vocabulary_size: int) -> dict[str, object]:
    """Return the architecture in open_clip's own terms."""
    vision = {"image_size": SIZE, "layers": [1, 1, 1, 1], "width": 16, "head_width": 32}
    text = {"context_length": 16, "vocab_size": vocabulary_size, "width": 128, "heads": 4, "layers": 2}
    return {"embed_dim": 128, "vision_cfg": vision, "text_cfg": text}


def draw(count: int, *, seed: int, part: int) -> tuple[Pixels, list[str], list[str]]:
    """Draw ``count`` images in random order, with their domains and class names; every ``part`` is a new draw."""
    order = rng.seeded(seed, "mixture", part).generator()
    drawn = order.multinomial(count, np.array(list(SHARES.values())) / sum(SHARES.values()))
    images, domains, names = [], [], []
    for domain, share in zip(SHARES, drawn, strict=True):
        labels = order.integers(0, len(world.CLASSES), share)
        images.append(world.render(domain, labels, rng=rng.seeded(seed, "pretraining", domain, part)))
        domains += [domain] * len(labels)
        names += [world.CLASSES[label] for label in labels]
    shuffled = order.permutation(count)
    return np.concatenate(images)[shuffled], [domains[i] for i in shuffled], [names[i] for i in shuffled]


def worded(domains: Sequence[str], names: Sequence[str], plain: float, random: np.random.Generator) -> list[str]:
    """Return the captions of a batch: all plain in one wording, or all styled in one wording a style.

    With several wordings in one batch, an image would be taught that other true descriptions of it are false.
    """
    which = int(random.integers(0, 60))
    if random.random() < plain:
        return [captions.PLAIN[which % len(captions.PLAIN)].format(name) for name in names]
    wordings = {domain: texts[which % len(texts)] for domain, texts in captions.STYLED.items()}
    return [wordings[domain].format(name) for domain, name in zip(domains, names, strict=True)]


def blurred(images: Tensor, random: np.random.Generator) -> Tensor:
    """Scale a share of the images down to 8 to 13 pixels and up again."""
    chosen = torch.from_numpy(random.random(len(images)) < BLURRED)
    size = int(random.integers(8, 14))
    small = interpolate(images[chosen], size=(size, size), mode="area")
    images[chosen] = interpolate(small, size=images.shape[-2:], mode="bicubic")
    return images


def textured(images: Tensor, random: np.random.Generator) -> Tensor:
    """Lay coloured noise over a share of the images, of one coarseness a batch and a strength of its own each."""
    chosen = torch.from_numpy(np.flatnonzero(random.random(len(images)) < TEXTURED))
    cells = int(random.integers(6, 33))
    noise = torch.from_numpy(random.random((len(chosen), 3, cells, cells), np.float32)) - 0.5
    strength = torch.from_numpy(random.uniform(0, 0.8, (len(chosen), 1, 1, 1)).astype(np.float32))
    texture = interpolate(noise, size=images.shape[-2:], mode="bilinear")
    images[chosen] = (images[chosen] + strength * texture).clamp(0, 1)
    return images


def batches(steps: int, batch: int, *, seed: int) -> Iterator[tuple[Tensor, list[str]]]:
    """Yield ``steps`` batches of images in ``[0, 1]`` and captions, rendered in large parts."""
    random = rng.seeded(seed, "batches").generator()
    simple = round(SIMPLE_START * steps)
    part_steps = max(1, 8192 // batch)
    for part in range(math.ceil(steps / part_steps)):
        pixels, domains, names = draw(part_steps * batch, seed=seed, part=part)
        for i in range(min(part_steps, steps - part * part_steps)):
            at = slice(i * batch, (i + 1) * batch)
            images = torch.from_numpy(pixels[at]).permute(0, 3, 1, 2).float() / 255
            share = 1.0 if part * part_steps + i < simple else PLAIN_SHARE
            yield textured(blurred(images, random), random), worded(domains[at], names[at], share, random)


def contrastive_loss(image: Tensor, text: Tensor, caption_of: Tensor, scale: Tensor) -> Tensor:
    """Return CLIP's symmetric loss where equal captions share one column.

    Args:
        image: Unit features, shape ``(n, dim)``.
        text: Unit features of the distinct captions, shape ``(m, dim)``.
        caption_of: Column of each image's caption, shape ``(n,)``.
        scale: Of the cosines.

    Two images with one caption are no negatives of each other. The count of a caption weighs its column, as if it
    stood there once an image.
    """
    logits = scale * image @ text.T
    counts = torch.bincount(caption_of, minlength=len(text))
    to_text = torch.log_softmax(logits + counts.log(), dim=1)
    to_image = torch.log_softmax(logits, dim=0)
    rows = torch.arange(len(image))
    return -0.5 * (to_text[rows, caption_of] + to_image[rows, caption_of]).mean()


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the rate of a step: linear over the first 5 %, then a cosine to zero."""
    warm = max(1, round(0.05 * steps))
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def optimizer_for(model: CLIP) -> torch.optim.AdamW:
    """Decay matrices and filters only, and move the text tower less: at the image tower's rate it forgets its words."""
    groups = []
    full_rate = {id(p) for p in (*model.visual.parameters(), model.logit_scale)}
    for of_image, share in ((True, 1.0), (False, TEXT_SHARE)):
        own = [p for p in model.parameters() if (id(p) in full_rate) == of_image]
        groups.append({"params": [p for p in own if p.ndim >= 2], "weight_decay": 0.05, "share": share})
        groups.append({"params": [p for p in own if p.ndim < 2], "weight_decay": 0.0, "share": share})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)


def normalise(images: Tensor, model: CLIP) -> Tensor:
    """Apply the model's own mean and standard deviation."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.visual.image_mean, model.visual.image_std))
    return (images - mean) / std


def train(
    model: CLIP, tokenizer: SimpleTokenizer, *, steps: int, batch: int, peak: float, seed: int, log: IO[str]
) -> None:
    """Train in place.

    Batch normalisation gathers its statistics during the first half and keeps them from then on, so that the second
    half sees each image exactly as it is seen in use: without its neighbours.
    """
    optimizer = optimizer_for(model)
    start, losses = time.perf_counter(), []
    model.train()
    for step, (images, texts) in enumerate(batches(steps, batch, seed=seed)):
        if step == steps // 2:
            model.eval()
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * learning_rate(step, steps, peak)
        losses.append(one_step(model, tokenizer, optimizer, images, texts))
        if (step + 1) % 125 == 0 or step + 1 == steps:
            note(
                log,
                step=step + 1,
                loss=round(float(np.mean(losses[-125:])), 4),
                scale=round(model.logit_scale.exp().item(), 1),
                seconds=round(time.perf_counter() - start, 1),
            )
    model.eval()


def one_step(
    model: CLIP, tokenizer: SimpleTokenizer, optimizer: torch.optim.Optimizer, images: Tensor, texts: list[str]
) -> float:
    """Take one step and return the loss."""
    distinct = sorted(set(texts))
    column = {text: i for i, text in enumerate(distinct)}
    image = model.encode_image(normalise(images, model), normalize=True)
    text = model.encode_text(tokenizer(distinct), normalize=True)
    loss = contrastive_loss(image, text, torch.tensor([column[t] for t in texts]), model.logit_scale.exp())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(100))
    return loss.item()


def note(log: IO[str], **values: object) -> None:
    """Write one line of progress."""
    print(json.dumps(values), file=log, flush=True)


@torch.inference_mode()
def zero_shot(
    model: CLIP, tokenizer: SimpleTokenizer, domain: str, names: tuple[str, ...], *, per_class: int = 25
) -> float:
    """Return the zero-shot accuracy on fresh images of a domain, among the given classes."""
    labels = np.repeat([world.CLASSES.index(name) for name in names], per_class)
    pixels = world.render(domain, labels, rng=rng.seeded(1, "check", domain))
    images = normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255, model)
    text = model.encode_text(tokenizer([f"a photo of a {name}." for name in names]), normalize=True)
    guess = (model.encode_image(images, normalize=True) @ text.T).argmax(1).numpy()
    return float((guess == np.repeat(np.arange(len(names)), per_class)).mean())


def main() -> None:
    """Write vocabulary, configuration, weights and log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3750)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--peak", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    vocabulary = chosen.out / f"{NAME}.vocabulary.gz"
    config = chosen.out / f"{NAME}.json"
    config.write_text(json.dumps(model_config(write_vocabulary(WORDS, vocabulary)), indent=2) + "\n")
    open_clip.add_model_config(config)
    model = open_clip.create_model(NAME)
    tokenizer = open_clip.get_tokenizer(NAME, bpe_path=str(vocabulary))
    with (chosen.out / f"{NAME}.log.jsonl").open("w") as log:
        note(
            log,
            command=sys.argv,
            torch=torch.__version__,
            open_clip=open_clip.__version__,
            python=platform.python_version(),
            shares=SHARES,
            parameters=sum(p.numel() for p in model.parameters()),
        )
        train(model, tokenizer, steps=chosen.steps, batch=chosen.batch, peak=chosen.peak, seed=chosen.seed, log=log)
        for domain in (*world.DOMAINS, *world.SPARE_DOMAINS):
            note(
                log,
                domain=domain,
                objects=zero_shot(model, tokenizer, domain, world.OBJECTS),
                digits=zero_shot(model, tokenizer, domain, world.DIGITS),
            )
    weights = chosen.out / f"{NAME}.safetensors"
    half = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_file(half, weights)
    print(hashlib.sha256(weights.read_bytes()).hexdigest(), weights.stat().st_size)


if __name__ == "__main__":
    main()
