"""A scorecard on disk: parts while it is played, its renderings once it is whole."""

from __future__ import annotations

from pathlib import Path

from securefed.errors import ConfigError
from securefed.threat_models.markdown import markdown
from securefed.threat_models.scorecard import Json, to_json

PARTS = "parts.jsonl"


def begin(folder: Path) -> Path:
    """Make the folder, and return where parts are kept until the scorecard is whole.

    Raises:
        ConfigError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}") from error
    return folder / PARTS


def finish(card: Json, folder: Path, page: str) -> None:
    """Write a whole scorecard, and let its parts go: the next one in this folder is played anew.

    Args:
        card: Its values.
        folder: Where it goes.
        page: The same for a browser.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    try:
        (folder / "scorecard.json").write_text(to_json(card), encoding="utf-8")
        (folder / "scorecard.md").write_text(markdown(card), encoding="utf-8")
        (folder / "scorecard.html").write_text(page, encoding="utf-8")
        (folder / PARTS).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"the scorecard cannot be written to {folder}: {error.strerror}") from error
