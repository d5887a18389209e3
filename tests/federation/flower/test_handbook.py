"""What administrators get: whole instructions, services that hold, a proxy that lets in what nodes call and no more."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES

from securefed.errors import ConfigError
from securefed.federation import kits
from securefed.federation.flower import handbook
from securefed.federation.flower.handbook import Address
from securefed.federation.flower.quiet import QUIET
from securefed.rng import secure
from tests import toys

ROOT = Path(__file__).parents[3]
SYSTEMD = shutil.which("systemd-analyze")


@pytest.fixture(scope="module", params=["mask", "ckks"])
def written(request, tmp_path_factory):
    """A folder of kits, their plan and roster."""
    folder, plan = tmp_path_factory.mktemp("handbook") / "kits", toys.plan(secure=request.param)
    roster = kits.write(plan, "study", folder, rng=secure())
    handbook.write(folder, plan, "study", roster, address=Address.of("superlink.example:443"))
    return folder, plan, roster


def homes(folder):
    return [folder / "server", *sorted((folder / "clients").iterdir()), *folder.glob("decryptor")]


def test_a_private_key_lies_in_its_owners_kit_and_in_no_other(written):
    folder, plan, _ = written
    private = {path: path.read_bytes().strip() for path in folder.rglob("*.key")}
    assert len(private) == plan.clients + 2 + (plan.secure == "ckks")
    assert all(path.stat().st_mode & 0o077 == 0 for path in (*private, *homes(folder)))
    for home in homes(folder):
        contents = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
        held = {path for path, key in private.items() if any(key in content for content in contents)}
        assert held == {path for path in private if home in path.parents}


def test_the_authoritys_own_key_is_nowhere_and_clients_believe_the_server_they_were_given(written):
    folder, plan, _ = written
    tls = folder / "server" / "tls"
    authority, server = (x509.load_pem_x509_certificate((tls / name).read_bytes()) for name in ("ca.crt", "server.crt"))
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "superlink.example"}
    for name in plan.cohort:
        assert (folder / "clients" / name / "ca.crt").read_bytes() == (tls / "ca.crt").read_bytes()
    assert isinstance(authority.public_key(), ec.EllipticCurvePublicKey)
    assert authority.public_key() != server.public_key()


def test_instructions_name_every_file_and_all_that_is_to_be_compared(written):
    folder, plan, roster = written
    for home in homes(folder):
        text = (home / "README.md").read_text()
        files = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and "app" not in path.parts}
        assert {name for name in files - {"README.md"} if f"`{name}`" not in text} == set()
        assert roster.root.hex() in text
        assert plan.digest in text
        assert "`superlink.example:443`" in text
        assert "{{" not in text


def test_where_the_server_asks_is_where_the_decryptor_listens_if_there_is_one(written):
    folder, plan, _ = written
    command = (folder / "server" / "README.md").read_text().partition("## 5. Run")[2]
    if plan.secure == "mask":
        assert "decryptor" not in command
        assert not (folder / "decryptor").exists()
        return
    (asked,) = re.findall(r'decryptor="(\S+)"', command)
    service = (folder / "decryptor" / "securefed-decryptor.service").read_text()
    assert f"--socket {asked} --user securefed-server" in service
    assert f"RuntimeDirectory={Path(asked).parent.name}\n" in service
    for home in homes(folder):
        if home != folder / "server":
            assert "administ" in " ".join(re.findall(r"\*\*([^*]+)\*\*", (home / "README.md").read_text()))


@pytest.mark.parametrize(
    "text", ["superlink", ":443", "a:0", "a:65536", "a b:1", "a;b:1", "-a:1", "a:443\n", "http://a:1"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigError, match="write HOST:PORT"):
        Address.of(text)


def test_the_proxy_lets_in_what_flowers_nodes_call_but_registration(written):
    folder, _, _ = written
    known = {path for method, path in PROTOBUF_REQUEST_TYPES if path.startswith("/v1/fleet/") and method == "POST"}
    let_in = {f"/v1/fleet/{call}" for call in handbook.CALLS}
    assert known - let_in == {"/v1/fleet/register-node", "/v1/fleet/unregister-node"}
    assert let_in <= known

    (listed,) = re.findall(r"\?<call>([a-z|-]+)\)", (folder / "server" / "nginx.conf").read_text())
    assert set(listed.split("|")) == set(handbook.CALLS)


def settled(folder, tmp_path):
    """The services, with programs that are there."""
    (programs := tmp_path / "bin").mkdir()
    for name in ("securefed", "flower-supernode", "flower-superlink"):
        (programs / name).symlink_to("/bin/true")
    for path in folder.rglob("*.service"):
        text = path.read_text().replace(handbook.PROGRAMS, str(programs))
        (tmp_path / path.name).write_text(text)
        yield tmp_path / path.name


@pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not here")
def test_systemd_finds_no_fault_with_the_services_and_little_that_they_are_exposed_to(written, tmp_path):
    home = written[0] / "clients" / "client-0"
    services = [*settled(home, tmp_path)]
    assert {path.name for path in services} == {"securefed-agent.service", "securefed-supernode.service"}
    (server,) = settled(written[0] / "server", Path(shutil.copytree(home, tmp_path / "server")))
    decryptor = settled(written[0] / "decryptor", Path(shutil.copytree(home, tmp_path / "decryptor")))
    for path, most in [
        *zip((*sorted(services), server), (15, 25, 25), strict=True),
        *((path, 15) for path in decryptor),
    ]:
        checked = subprocess.run([SYSTEMD, "verify", path], capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
        # In tenths, of 100.
        judged = [SYSTEMD, "security", "--offline=true", f"--threshold={most}", "--no-pager", path]
        exposed = subprocess.run(judged, capture_output=True, text=True, check=False)
        assert exposed.returncode == 0, exposed.stdout[-400:]


def test_services_and_containers_tell_flower_to_speak_to_nobody(written):
    folder, _, _ = written
    flower = [folder / "server" / "securefed-superlink.service", *folder.rglob("securefed-supernode.service")]
    for path in flower:
        assert {f"Environment={key}={value}" for key, value in QUIET.items()} <= set(path.read_text().splitlines())
    container = (ROOT / "deploy" / "Containerfile").read_text()
    assert all(f"{key}={value}" in container for key, value in QUIET.items())


def test_the_container_is_nobodys_root_and_its_lines_are_instructions():
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0][0] == "FROM"
    assert {word for word, _ in lines} == {"FROM", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
    assert [rest for word, rest in lines if word == "USER"][-1] not in ("0", "root")
    assert all((ROOT / source).exists() for source in ("requirements.lock",))
