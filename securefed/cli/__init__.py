"""The command line: one file a command, put together in :mod:`securefed.cli.commands`.

Exit codes: 0 ok, 1 a check failed or a ledger refused, 2 bad input.
"""

from securefed.cli.commands import app, main

__all__ = ["app", "main"]
