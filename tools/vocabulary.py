"""Prune CLIP's byte-pair vocabulary to the merges that the words of the world use.

CLIP's own vocabulary (49,408 tokens) would be most of a small model. Keeping the merges that a list of words needs, in
their order, tokenises exactly those words as CLIP does; every other word falls back to shorter pieces and single bytes.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode, default_bpe, get_pairs

HEADER = '"securefed: the merges of CLIP that the words of the generated world use"'


def merges_of(word: str, tokenizer: SimpleTokenizer) -> set[tuple[str, str]]:
    """Return every merge that the tokenizer makes on the way from the bytes of a word to its tokens."""
    letters = [bytes_to_unicode()[byte] for byte in word.encode()]
    parts = [*letters[:-1], letters[-1] + "</w>"]
    used: set[tuple[str, str]] = set()
    while len(parts) > 1:
        pair = min(get_pairs(parts), key=lambda candidate: tokenizer.bpe_ranks.get(candidate, float("inf")))
        if pair not in tokenizer.bpe_ranks:
            break
        used.add(pair)
        parts = _merged(parts, pair)
    return used


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def write_vocabulary(words: Iterable[str], path: Path) -> int:
    """Write the pruned merges, gzipped without a time stamp, and return the number of tokens.

    The tokens are 256 bytes, 256 bytes that end a word, the merges, and the two marks of start and end.
    """
    full = SimpleTokenizer(default_bpe())
    used = set().union(*(merges_of(word, full) for word in words))
    ordered = sorted(used, key=full.bpe_ranks.__getitem__)
    text = "\n".join([HEADER, *(" ".join(pair) for pair in ordered)])
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return 512 + len(ordered) + 2
