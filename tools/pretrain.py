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
import shlex
import sys
import time
from pathlib import Path
from typing import IO

import numpy as np
import open_clip
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save as serialize
from torch import Tensor

from securefed import rng
from securefed.data import world
from securefed.data.scene import SIZE
from tools.batches import GROUPS, SHARES, batches
from tools.vocabulary import write_vocabulary

NAME = "securefed-tiny"
TEXT_SHARE = 0.25
"""Learning rate of the text tower, relative to the image tower."""

WORDS = Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split()
"""What the vocabulary can say in one token a word, as CLIP's own can."""


def model_config(vocabulary_size: int) -> dict[str, object]:
    """Return the architecture in open_clip's own terms."""
    vision = {"image_size": SIZE, "layers": [1, 1, 1, 1], "width": 16, "head_width": 32}
    text = {"context_length": 16, "vocab_size": vocabulary_size, "width": 128, "heads": 4, "layers": 2}
    return {"embed_dim": 128, "vision_cfg": vision, "text_cfg": text}


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
    loss.backward()
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
    return round(float((guess == np.repeat(np.arange(len(names)), per_class)).mean()), 4)


def prepare(out: Path) -> tuple[CLIP, SimpleTokenizer]:
    """Write vocabulary and configuration, and return a model with fresh weights."""
    vocabulary, config = out / f"{NAME}.vocabulary.gz", out / f"{NAME}.json"
    size = write_vocabulary(WORDS, vocabulary)
    config.write_text(json.dumps(model_config(size), indent=2) + "\n", encoding="utf-8")
    open_clip.add_model_config(config)
    return open_clip.create_model(NAME), open_clip.get_tokenizer(NAME, bpe_path=str(vocabulary))


def save(model: CLIP, out: Path) -> dict[str, str]:
    """Write the weights in half precision, and return the SHA-256 of every file that the package pins."""
    half = {name: v.half() if v.is_floating_point() else v for name, v in model.state_dict().items()}
    (out / f"{NAME}.safetensors").write_bytes(serialize(half))
    files = [f"{NAME}.{ending}" for ending in ("safetensors", "json", "vocabulary.gz")]
    return {file: hashlib.sha256((out / file).read_bytes()).hexdigest() for file in files}


def main() -> None:
    """Write vocabulary, configuration, weights and log, and print what to pin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--peak", type=float, default=2e-3, help="largest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    model, tokenizer = prepare(chosen.out)
    with (chosen.out / f"{NAME}.log.jsonl").open("w", encoding="utf-8") as log:
        note(
            log,
            command=shlex.join(["python", "-m", "tools.pretrain", *sys.argv[1:]]),
            python=platform.python_version(),
            torch=torch.__version__,
            open_clip=open_clip.__version__,
            shares=SHARES,
            parameters=sum(p.numel() for p in model.parameters()),
        )
        train(model, tokenizer, steps=chosen.steps, batch=chosen.batch, peak=chosen.peak, seed=chosen.seed, log=log)
        for domain in (*world.DOMAINS, *world.SPARE_DOMAINS):
            scores = {kind: zero_shot(model, tokenizer, domain, names) for kind, names in GROUPS.items()}
            note(log, domain=domain, **scores)
    print(json.dumps(save(model, chosen.out), indent=2))


if __name__ == "__main__":
    main()
