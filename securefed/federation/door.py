"""An agent's only door: a Unix socket on which chosen users of this machine may bring protocol messages.

The kernel says who is on the other side (``SO_PEERCRED``), so no password is needed and none can be stolen. Best give
the agent a user of its own and let in only the user that Flower's SuperNode runs as: then not even code that a
SuperLink ships to the SuperNode can read the agent's files or memory. A courier of the agent's own user can.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from securefed.errors import ConfigError, SecureFedError
from securefed.federation.courier import ANSWER, LARGEST, REFUSAL, receive, send
from securefed.federation.embedded import Party

UNNAMED = "~"
"""What a socket's name ends with until it listens."""

BOUND = 107
"""Bytes that Linux gives the path of a Unix socket."""

PATH_LIMIT = BOUND - len(UNNAMED)
"""Bytes that an agent's path may have."""

PATIENCE = 30.0
"""Seconds that a courier may be silent in the middle of a message; others wait so long."""

_CREDENTIALS = struct.Struct("3i")
_LOG = logging.getLogger("securefed.agent")


def serve(
    agent: Party,
    path: Path,
    *,
    users: frozenset[int] = frozenset(),
    largest: int = LARGEST,
    stopped: Callable[[], bool],
    opened: Callable[[], None] = lambda: None,
) -> None:
    """Answer messages until told to stop: one after the other, so that there is one protocol state.

    Args:
        agent: Who answers.
        path: Where the socket will be; a dead one is replaced.
        users: Ids of the users that may come in beside the agent's own.
        largest: Bytes that a request may have.
        stopped: Asked about twice a second.
        opened: Told once, when messages can come.

    Raises:
        ConfigError: If the path cannot be a socket, or another agent is there.
    """
    allowed = users | {os.getuid()}
    with _listening(path, mode=0o666 if users else 0o600) as listener:
        _LOG.info("listening at %s", path)
        opened()
        while not stopped():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(PATIENCE)
                _attend(agent, connection, allowed, largest)


def _attend(agent: Party, connection: socket.socket, allowed: frozenset[int], largest: int) -> None:
    """Answer one message of one courier."""
    try:
        if (user := _user(connection)) not in allowed:
            _LOG.warning("user %d is not let in", user)
            return
        send(connection, *_reply(agent, receive(connection, largest=largest)))
    except OSError as error:
        _LOG.warning("a courier broke off: %s", error)


def _reply(agent: Party, request: bytes) -> tuple[bytes, bytes]:
    """Return what is sent for a request. What went wrong inside stays inside: a traceback may show data."""
    try:
        return ANSWER, agent.answer(request)
    except SecureFedError as error:
        _LOG.warning("refused: %s: %s", type(error).__name__, error)
        return REFUSAL, f"{type(error).__name__}: {error}".encode()
    except Exception:
        _LOG.exception("a request failed")
        return REFUSAL, b"the agent failed; its own log says why"


def _user(connection: socket.socket) -> int:
    """Return the id of the user on the other side, as the kernel knows it."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(packed)
    return int(user)


@contextmanager
def _listening(path: Path, *, mode: int) -> Iterator[socket.socket]:
    if not hasattr(socket, "SO_PEERCRED"):
        raise ConfigError("this system does not tell who is on the other side of a socket; run the agent on Linux")
    # Whoever sees the socket may connect at once, so it gets its name when it listens and its mode is set.
    unnamed = path.with_name(path.name + UNNAMED)
    if len(os.fsencode(unnamed)) > BOUND:
        raise ConfigError(f"{path} is longer than the {PATH_LIMIT} bytes of a socket's path; name a shorter one")
    _remove_dead(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            unnamed.unlink(missing_ok=True)
            # Nobody else may connect between bind and chmod.
            before = os.umask(0o177)
            try:
                listener.bind(str(unnamed))
            finally:
                os.umask(before)
            unnamed.chmod(mode)
            listener.listen()
            unnamed.rename(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be a socket: {error.strerror}") from error
        listener.settimeout(0.5)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _remove_dead(path: Path) -> None:
    """Remove the socket that a killed agent left."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigError(f"{path} exists and is no socket; name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ConfigError(f"another agent is listening at {path}; end it, or name another path")
