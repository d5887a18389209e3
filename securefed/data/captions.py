"""What the images of the world are called: the texts that the embedded CLIP model was pretrained on.

A wording is a template. Plain wordings name only the class, as CLIP's usual prompts do; styled ones also name the look
of the image.
"""

from __future__ import annotations

PLAIN = ("a photo of a {}.", "an image of a {}.", "a picture of a {}.", "a {}.", "{}", "a good photo of the {}.")
STYLED = {
    "photo": ("a photograph of a {}.", "a realistic photo of a {}.", "a colour photo of a {}."),
    "cartoon": ("a cartoon of a {}.", "a cartoon drawing of a {}.", "a comic of a {}."),
    "clipart": ("clip art of a {}.", "a clipart of a {}.", "a flat icon of a {}."),
    "silhouette": ("a silhouette of a {}.", "the dark shape of a {}.", "the shadow of a {}."),
    "sketch": ("a sketch of a {}.", "a pencil drawing of a {}.", "a line drawing of a {}."),
    "neon": ("a neon sign of a {}.", "a glowing {}.", "a {} made of neon light."),
    "chalk": ("a chalk drawing of a {}.", "a {} on a blackboard.", "a {} drawn in white chalk."),
}
"""Wordings that name the style, equally many for every domain that pretraining uses."""
