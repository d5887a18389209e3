"""Settings under which Flower and ray speak to nobody outside the federation.

By default Flower's processes report to their makers, look for updates and install packages at run time, and ray does
the first of these too. All of it is switched off for every process that starts with this environment.
"""

from __future__ import annotations

import os

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # On Linux this makes ray listen on the loopback address alone.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


def quieten() -> None:
    """Set them for this process and those that it starts."""
    os.environ.update(QUIET)
