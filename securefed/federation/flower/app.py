"""The Flower app as files: two shims and a description, which is all that a SuperLink hands to its nodes."""

from __future__ import annotations

from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "securefed-flower"
version = "1.0.0"
description = "Carries securefed's messages on Flower: a courier on each client, the server's role on the SuperLink"
license = { file = "LICENSE" }
# securefed itself is installed on every machine beforehand: nothing is installed at run time.
dependencies = ["flwr>=1.41,<1.42"]

[tool.flwr.app]
publisher = "securefed"
fab-format-version = 1
flwr-version-target = "1.41.0"

[tool.flwr.app.components]
serverapp = "securefed_flower.server_app:app"
clientapp = "securefed_flower.client_app:app"

[tool.flwr.app.config]
# The server's kit and the folder of the run, on the machine of the SuperLink.
kit = ""
out = ""
# Seconds that the slowest phase may take.
patience = 300
# The socket of the decryptor on that machine, if sums are encrypted.
decryptor = ""
# In a simulation alone: a folder with the socket of an agent for each partition, 0.sock and so on.
agents = ""

[tool.hatch.build.targets.wheel]
packages = ["securefed_flower"]
"""

LICENSE = """\
Licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""

FILES = {
    "pyproject.toml": PYPROJECT,
    "LICENSE": LICENSE,
    "securefed_flower/__init__.py": '"""The two ends of securefed on Flower."""\n',
    "securefed_flower/client_app.py": (
        '"""Flower looks for the ClientApp here; it carries messages to the agent on this machine."""\n\n'
        "from securefed.federation.flower import client\n\napp = client.app\n"
    ),
    "securefed_flower/server_app.py": (
        '"""Flower looks for the ServerApp here; it runs the server\'s role from the server\'s kit."""\n\n'
        "from securefed.federation.flower import server\n\napp = server.app\n"
    ),
}
"""Content by path."""


def write(folder: Path) -> None:
    """Write the app into a folder, for ``flwr run FOLDER``."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
