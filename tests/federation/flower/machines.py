"""Kits unpacked on machines of a network, with every service started as its unit says."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from securefed.federation import kits
from securefed.federation.flower import certificates, handbook
from securefed.federation.flower.deployment import answers, wait
from securefed.federation.flower.handbook import Address
from securefed.federation.flower.processes import Process
from securefed.federation.flower.quiet import QUIET
from securefed.rng import seeded

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
BIN = Path(sys.executable).parent
SEEDED_AGENT = Path(__file__).with_name("seeded_agent.py")
NGINX_MAIN = """\
daemon off;
user root;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{}}
http {{
    access_log {home}/access.log;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {conf};
}}
"""

ASK = """
import ssl, sys, urllib.error, urllib.request
trusted = ssl.create_default_context(cafile=sys.argv[1])
for line in sys.argv[2:]:
    method, url = line.split()
    body = b"" if method == "POST" else None
    request = urllib.request.Request(url, body, {"Content-Type": "application/protobuf"}, method=method)
    try:
        with urllib.request.urlopen(request, context=trusted) as reply:
            print(reply.status)
    except urllib.error.HTTPError as error:
        print(error.code)
    except OSError as error:
        print(error.reason)
"""


class Federation:
    """Kits unpacked on machines of a network: the services' own commands, only with other folders."""

    def __init__(self, net, folder, plan):
        self.net, self.folder, self.plan = net, folder, plan
        self.server, *clients = net.machines
        self.clients = dict(zip(plan.cohort, clients, strict=True))
        roster = kits.write(plan, "task", folder / "kits", rng=seeded(3))
        self.place = Address(self.server.address, 443)
        handbook.write(folder / "kits", plan, "task", roster, address=self.place)
        self.kit, self.state = folder / "kits" / "server", folder / "server"
        (self.state / "flower").mkdir(parents=True)
        self.tls = self.kit / "tls"
        self.log("").mkdir()

    def log(self, name):
        return self.folder / "logs" / name

    def service(self, path, machine, **places):
        """The process that a unit starts."""
        text = path.read_text()
        for old, new in {handbook.PROGRAMS: BIN, handbook.TLS: self.tls, **places}.items():
            text = text.replace(str(old), str(new))
        lines = text.splitlines()
        variables = dict(line.split("=", 2)[1:] for line in lines if line.startswith("Environment="))
        (command,) = (line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart="))
        kept = {name: os.environ[name] for name in ("PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ}
        return Process(
            machine.command(*shlex.split(command)), self.log(f"{path.stem}-{machine.name}"), kept | variables
        )

    def superlink(self):
        return self.service(
            self.kit / "securefed-superlink.service", self.server, **{"/var/lib/securefed-server": self.state}
        )

    def proxy(self):
        conf, home = self.folder / "securefed.conf", self.folder / "nginx"
        home.mkdir()
        conf.write_text((self.kit / "nginx.conf").read_text().replace(handbook.TLS, str(self.tls)))
        (home / "main.conf").write_text(NGINX_MAIN.format(home=home, conf=conf))
        return Process(self.server.command(NGINX, "-c", home / "main.conf", "-e", "stderr"), self.log("nginx"), {})

    def agent(self, name, socket):
        """As the unit starts it, but with noise that can be repeated."""
        command = (sys.executable, SEEDED_AGENT, self.folder / "kits" / "clients" / name / "policy.toml", socket)
        return Process(self.clients[name].command(*command), self.log(f"agent-{name}"), dict(os.environ))

    def supernode(self, name, socket, key=None):
        kit, home = self.folder / "kits" / "clients" / name, self.folder / f"node-{key or name}"
        certificates.node_key(home / "node.key")
        shutil.copy(kit / "ca.crt", home / "ca.crt")
        places = {"/var/lib/securefed-node": home, "/run/securefed/agent.sock": socket}
        return self.service(kit / "securefed-supernode.service", self.clients[name], **places), home / "node.pub"

    def flwr(self, machine, home, *words, quiet=QUIET):
        """Flower's command line on a machine."""
        settings = {"FLWR_HOME": str(home), "PATH": f"{BIN}:/usr/sbin:/usr/bin:/bin", **quiet}
        kept = {key: value for key, value in os.environ.items() if key in ("PYTHONPATH", "OMP_NUM_THREADS")}
        command = machine.command(BIN / "flwr", *words)
        done = subprocess.run(command, env=kept | settings, capture_output=True, text=True, timeout=280, check=False)
        return done.returncode, done.stdout + done.stderr

    def ask(self, machine, *lines):
        """What a machine gets for requests: a status, or why there was none."""
        command = machine.command(sys.executable, "-c", ASK, self.tls / "ca.crt", *lines)
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()


def configure(home, address, authority):
    home.mkdir(exist_ok=True)
    lines = [
        '[superlink]\ndefault = "here"\n\n[superlink.here]',
        f'address = "{address}"',
        f'root-certificates = "{authority}"',
    ]
    (home / "config.toml").write_text("\n".join(lines) + "\n")


@contextmanager
def up(federation):
    """Start every machine's services in the order of the instructions; end them whatever happens."""
    started = []

    def start(process):
        process.start()
        started.append(process)
        return process

    with tempfile.TemporaryDirectory(prefix="sf-") as sockets:
        paths = {name: Path(sockets) / f"{number}.sock" for number, name in enumerate(federation.clients)}
        try:
            agents = {name: start(federation.agent(name, path)) for name, path in paths.items()}
            superlink = start(federation.superlink())
            start(federation.proxy())
            inner = f"127.0.0.1:{handbook.INNER}"
            configure(federation.state / "flower", inner, federation.tls / "ca.crt")
            wait(lambda: federation.ask(federation.server, f"GET https://{inner}/health") == ["200"], superlink)
            for name, path in paths.items():
                node, public = federation.supernode(name, path)
                code, text = federation.flwr(
                    federation.server, federation.state / "flower", "supernode", "register", public, "here"
                )
                assert code == 0, text
                start(node)
            for name, path in paths.items():
                wait(lambda at=path: answers(at), agents[name])
            yield start
        finally:
            for process in reversed(started):
                process.end()
