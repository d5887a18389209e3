"""The agent's socket: who may come in, what a broken or greedy courier can do, and what a refusal says."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from securefed.errors import ConfigError, ProtocolError
from securefed.federation import courier, door
from securefed.federation.courier import LENGTH, Refused, Unreachable, carry, send

NOBODY = 65534


class Echo:
    """Answers with what it is asked; refuses and fails on request."""

    def answer(self, request):
        if request == b"refuse":
            raise ProtocolError("no honest server asks this")
        if request == b"fail":
            raise RuntimeError("features = [0.25, 0.5]")
        return request


@pytest.fixture
def path():
    """A short one: sockets have paths of at most 106 bytes."""
    with tempfile.TemporaryDirectory(prefix="sf-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "agent.sock"


@pytest.fixture
def opened(path):
    threads = []

    def start(agent=None, **settings):
        stop, there = threading.Event(), threading.Event()

        def stopped():
            there.set()
            return stop.is_set()

        def work():
            door.serve(agent or Echo(), path, stopped=stopped, **settings)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        threads.append((thread, stop))
        assert there.wait(10)
        return path

    yield start
    for thread, stop in threads:
        stop.set()
        thread.join()


@pytest.mark.parametrize("size", [0, 1, 1000, 3_000_000])
def test_what_is_carried_in_is_answered(opened, size):
    message = os.urandom(size)
    assert carry(opened(), message) == message


@pytest.mark.parametrize("parts", [(b"",), (b"question", b""), (b"", b"question")])
def test_nothing_is_sent_to_whoever_has_the_whole_message_and_may_have_hung_up(parts):
    ours, theirs = socket.socketpair()
    left = LENGTH.size + sum(map(len, parts))

    def sendall(part):
        nonlocal left
        ours.sendall(part)
        left -= len(part)
        if not left:
            theirs.close()

    with ours:
        send(SimpleNamespace(sendall=sendall), *parts)


def test_a_refusal_says_why_and_a_failure_says_nothing_of_what_is_inside(opened):
    path = opened()
    with pytest.raises(Refused, match="ProtocolError: no honest server asks this"):
        carry(path, b"refuse")
    with pytest.raises(Refused, match="its own log says why") as caught:
        carry(path, b"fail")
    assert "0.25" not in str(caught.value)
    assert carry(path, b"still there") == b"still there"


def test_the_socket_is_for_its_owners_eyes_only_and_goes_with_the_agent(opened, path):
    assert stat.S_IMODE(opened().stat().st_mode) == 0o600


def test_couriers_that_break_off_or_ask_for_too_much_do_not_stop_the_agent(opened, monkeypatch):
    monkeypatch.setattr(door, "PATIENCE", 0.2)
    path = opened(largest=1000)
    for start in (b"", b"\0", courier.LENGTH.pack(100) + b"half", courier.LENGTH.pack(1 << 60)):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(start)
    with pytest.raises(Unreachable):
        carry(path, b"x" * 1001)
    assert carry(path, b"x" * 1000) == b"x" * 1000


def as_nobody(path):
    """What another user of this machine gets."""
    read, write = os.pipe()
    if not (child := os.fork()):
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            carry(path, b"let me in")
            said = b"answered"
        except Exception as error:
            said = f"{type(error).__name__}: {error}".encode()
        os.write(write, said)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        return file.read().decode()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("users", "said"),
    [
        (frozenset(), "Permission denied"),
        (frozenset({NOBODY - 1}), "Unreachable: no agent answers"),
        (frozenset({NOBODY}), "answered"),
    ],
)
def test_the_kernel_says_who_comes_and_only_chosen_users_come_in(opened, users, said):
    assert said in as_nobody(opened(users=users))


def test_a_dead_socket_is_replaced_and_a_living_one_is_not(opened, path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert carry(opened(), b"here") == b"here"
    with pytest.raises(ConfigError, match="another agent is listening"):
        door.serve(Echo(), path, stopped=lambda: True)


def test_a_socket_has_its_name_only_when_it_listens(opened, path, monkeypatch):
    real, seen = socket.socket.listen, []

    def listen(listener, *arguments):
        seen.append(path.exists())
        real(listener, *arguments)

    monkeypatch.setattr(socket.socket, "listen", listen)
    opened()
    assert seen == [False]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_an_agent_that_was_killed_before_it_listened_is_in_nobodys_way(opened, path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{path}{door.UNNAMED}")
    assert carry(opened(), b"here") == b"here"


def test_a_path_that_cannot_be_a_socket_is_refused(tmp_path, path):
    path.write_text("a file")
    with pytest.raises(ConfigError, match="is no socket"):
        door.serve(Echo(), path, stopped=lambda: True)
    with pytest.raises(ConfigError, match="longer than the 106 bytes"):
        door.serve(Echo(), path.parent / ("x" * 107), stopped=lambda: True)
    with pytest.raises(ConfigError, match="cannot be a socket"):
        door.serve(Echo(), path.parent / "missing" / "agent.sock", stopped=lambda: True)


def test_a_courier_without_an_agent_says_so(path):
    with pytest.raises(Unreachable, match="Is it running"):
        carry(path, b"hello")


def test_a_courier_loads_neither_torch_nor_flower():
    code = (
        "import sys, securefed.federation.courier; "
        "sys.exit(any(name.split('.')[0] in ('torch', 'flwr', 'numpy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
