"""Machines of their own on this one: network namespaces, joined by a wire that delays, loses and keeps account.

The wire is in user space, between one TUN device a machine, so it needs no netem in the kernel; and since it is the
only way out of every namespace, it sees each packet that is meant for somebody else.
"""

import ctypes
import fcntl
import heapq
import ipaddress
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TUNSETIFF, TUN, BARE = 0x400454CA, 0x0001, 0x1000
NET_NAMESPACE = 0x40000000
BLOCK = ipaddress.ip_network("10.77.0.0/24")


def impossible():
    """Why this machine has no namespaces and TUN devices for us, or None if it has."""
    if os.geteuid():
        return "network namespaces need root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    probe = f"sfprobe{os.getpid()}"
    try:
        ip("netns", "add", probe)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"ip netns add: {error}"
    ip("netns", "del", probe)
    return None


def ip(*arguments):
    subprocess.run(["/usr/sbin/ip", *arguments], check=True, capture_output=True)


def enter(namespace):
    if ctypes.CDLL(None, use_errno=True).setns(namespace, NET_NAMESPACE):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Machine:
    """A namespace with an address."""

    name: str
    address: str
    device: int

    @contextmanager
    def entered(self):
        """This thread, and what it starts, are on the machine."""
        own, there = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", f"/run/netns/{self.name}"))
        enter(there)
        try:
            yield
        finally:
            enter(own)
            os.close(own)
            os.close(there)

    def command(self, *words):
        return ["/usr/sbin/ip", "netns", "exec", self.name, *map(str, words)]


@dataclass
class Network:
    """Machines on one wire.

    Attributes:
        delay: Seconds that a packet is on its way.
        loss: Probability that it never arrives.
        carried, lost: Packets between machines.
        outside: Addresses beyond the wire that somebody has sent a packet to, with how many.
    """

    delay: float
    loss: float
    machines: list = field(default_factory=list)
    carried: int = 0
    lost: int = 0
    outside: dict = field(default_factory=dict)

    def forward(self, stop):
        """Carry packets until told to stop."""
        chance, order, waiting = random.Random(7), itertools.count(), []
        devices = {machine.device: machine for machine in self.machines}
        places = {ipaddress.ip_address(machine.address).packed: machine.device for machine in self.machines}
        while not stop.is_set():
            pause = max(0.0, min(0.2, waiting[0][0] - time.monotonic())) if waiting else 0.2
            for device in select.select([*devices], [], [], pause)[0]:
                packet = os.read(device, 65536)
                if packet[0] >> 4 != 4:
                    continue
                if (goal := places.get(packet[16:20])) is None:
                    self._note(packet[16:20])
                elif chance.random() < self.loss:
                    self.lost += 1
                else:
                    heapq.heappush(waiting, (time.monotonic() + self.delay, next(order), goal, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, goal, packet = heapq.heappop(waiting)
                os.write(goal, packet)
                self.carried += 1

    def _note(self, packed):
        address = ipaddress.ip_address(packed)
        if not address.is_multicast:
            self.outside[str(address)] = self.outside.get(str(address), 0) + 1


@contextmanager
def network(count, *, delay, loss):
    """Yield as many machines on a wire; afterwards nothing of them is left."""
    found, stop = Network(delay, loss), threading.Event()
    with ExitStack() as made:
        for number in range(count):
            found.machines.append(machine(number, made))
        wire = threading.Thread(target=found.forward, args=(stop,))
        wire.start()
        made.callback(wire.join)
        made.callback(stop.set)
        yield found


def machine(number, made):
    name, device, address = f"sf{os.getpid()}-{number}", f"sf{os.getpid()}n{number}", str(BLOCK[number + 1])
    ip("netns", "add", name)
    made.callback(ip, "netns", "del", name)
    # What looks up a name asks beyond the wire, and is seen.
    folder = Path("/etc/netns") / name
    folder.mkdir(parents=True)
    made.callback(folder.rmdir)
    (folder / "resolv.conf").write_text("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n")
    made.callback((folder / "resolv.conf").unlink)
    handle = os.open("/dev/net/tun", os.O_RDWR)
    made.callback(os.close, handle)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", device.encode(), TUN | BARE))
    ip("link", "set", device, "netns", name)
    for words in (
        ("netns", "exec", name, "sysctl", "-q", "net.ipv6.conf.all.disable_ipv6=1"),
        ("-n", name, "link", "set", "lo", "up"),
        ("-n", name, "address", "add", f"{address}/{BLOCK.prefixlen}", "dev", device),
        ("-n", name, "link", "set", device, "up"),
        ("-n", name, "route", "add", "default", "dev", device),
    ):
        ip(*words)
    return Machine(name, address, handle)
