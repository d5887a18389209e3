"""Identities are made once, each for one party, and pinned by the roster's root."""

from __future__ import annotations

import pickle
import stat

import pytest

from securefed.aggregation.identity import Federation, Identity, Roster
from securefed.aggregation.policy import Policy
from securefed.aggregation.provision import load_federation, load_identity, load_roster, provision
from securefed.errors import ConfigError, DigestError
from securefed.rng import secure, seeded

NAMES = ("ann", "bob", "cyd")


def test_provisioned_files_are_read_back(tmp_path):
    roster = provision(NAMES, tmp_path / "kit", rng=secure())
    federation = load_federation(tmp_path / "kit", root=roster.root)

    assert federation.roster == roster
    assert {name: identity.public for name, identity in federation.clients.items()} == roster.clients
    assert federation.server.public == roster.server


def test_private_keys_are_for_their_owner_alone(tmp_path):
    provision(NAMES, tmp_path / "kit", rng=secure())
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kit").rglob("*")}

    assert {mode for path, mode in modes.items() if path.name == "identity.key"} == {0o600}
    assert {mode for path, mode in modes.items() if path.name in NAMES} == {0o700}
    assert all(not mode & 0o022 for mode in modes.values())
    public = (tmp_path / "kit" / "roster.json").read_text()
    private = [path.read_text().strip() for path in modes if path.name == "identity.key"]
    assert len(set(private)) == 4
    assert not any(key in public for key in private)


def test_every_client_gets_a_policy_of_its_own(tmp_path):
    provision(NAMES, tmp_path / "kit", rng=secure())
    policies = {Policy.load(path) for path in (tmp_path / "kit" / "clients").rglob("policy.toml")}

    assert policies == {Policy(minimum_cohort=5, guard_bits=1, corruption=0.1, maximum_rounds=1000)}
    assert len(list((tmp_path / "kit" / "clients").rglob("policy.toml"))) == 3


def test_a_key_that_others_can_read_is_refused(tmp_path):
    provision(NAMES, tmp_path / "kit", rng=secure())
    path = tmp_path / "kit" / "clients" / "ann" / "identity.key"
    path.chmod(0o640)

    with pytest.raises(ConfigError, match="read by others"):
        load_identity(path, name="ann")


def test_another_roster_than_the_pinned_one_is_refused(tmp_path):
    provision(NAMES, tmp_path / "kit", rng=secure())

    with pytest.raises(DigestError, match="pinned"):
        load_roster(tmp_path / "kit" / "roster.json", root=bytes(32))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"server": "00", "clients": {}}', '{"server": 1, "clients": []}'])
def test_what_is_no_roster_is_refused(tmp_path, text):
    (tmp_path / "roster.json").write_text(text)

    with pytest.raises(ConfigError, match=r"keys|not a roster"):
        load_roster(tmp_path / "roster.json", root=bytes(32))


def test_nothing_is_overwritten(tmp_path):
    provision(NAMES, tmp_path / "kit", rng=secure())

    with pytest.raises(ConfigError, match="not empty"):
        provision(NAMES, tmp_path / "kit", rng=secure())


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a" * 65, "ü", "a\n"])
def test_names_that_are_no_file_names_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="name"):
        provision([name], tmp_path / "kit", rng=secure())


def test_twins_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="twice"):
        provision(["ann", "ann"], tmp_path / "kit", rng=secure())
    with pytest.raises(ConfigError, match="distinct"):
        Roster(bytes(32), {"ann": bytes(32)})
    with pytest.raises(ConfigError, match="name"):
        Roster(bytes(32), {"server": b"1" * 32})


def test_the_root_depends_on_every_name_and_key():
    one = Federation.throwaway(NAMES, rng=seeded(1)).roster
    roots = {one.root, Roster(one.clients["ann"], {"ann": one.server}).root}
    roots |= {Roster(one.server, one.clients | {"dan": bytes(32)}).root}
    roots |= {Roster(one.server, {"ann": one.clients["bob"], "bob": one.clients["ann"]}).root}
    roots |= {Roster(one.server, {"ann": one.clients["ann"], "bob": one.clients["bob"]}).root}

    assert len(roots) == 5


def test_an_identity_does_not_show_its_key():
    identity = Identity("ann", b"\x11" * 32)

    assert repr(identity) == "Identity('ann')"
    with pytest.raises(TypeError):
        pickle.dumps(identity)
