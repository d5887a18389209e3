"""A federation of separate machines, set up as its kits say: exact over a slow and lossy wire, closed to everything
that is not a SuperNode's business, and silent towards the rest of the world.
"""

import time

import numpy as np
import pytest
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES
from safetensors.numpy import load_file

from securefed import recipes
from securefed.federation.flower import handbook
from tests.federation.flower.machines import NGINX, Federation, configure, up
from tests.federation.flower.network import impossible, network
from tests.federation.flower.test_simulation import embedded

CONTROL = "/v1/control/start-run"
CLOSED = {path for _, path in PROTOBUF_REQUEST_TYPES} - {f"/v1/fleet/{call}" for call in handbook.CALLS}


@pytest.fixture
def plan():
    return recipes.cachefl(
        data="world:sketch,neon", records=80, classes=("cat", "star"), clients=3, rounds=1, delta=1e-3, epsilon=2.0
    )


@pytest.mark.deploy
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_across_machines_a_run_is_exact_the_control_api_is_closed_and_nothing_leaves(plan, tmp_path):
    if why := impossible():
        pytest.skip(why)
    expected = embedded(plan, tmp_path / "embedded")
    with network(1 + plan.clients, delay=0.03, loss=0.01) as net:
        federation = Federation(net, tmp_path / "machines", plan)
        client, outside = federation.clients[plan.cohort[0]], f"https://{federation.place.host}:443"
        with up(federation) as start:
            stranger, _ = federation.supernode(plan.cohort[0], "/nowhere.sock", key="stranger")
            stranger.command = [word.replace("9094", "9095") for word in stranger.command]
            start(stranger)
            config = f'kit="{federation.kit}" out="{federation.folder / "run"}" patience=200'
            home = federation.state / "flower"
            code, text = federation.flwr(
                federation.server, home, "run", federation.kit / "app", "here", "--stream", "-c", config
            )
            assert (federation.folder / "run" / "adapter.safetensors").exists(), text

            refused = (
                *(f"GET {outside}{path}" for path in ("/health", "/docs", "/openapi.json", "/v1/fleet/pull-messages")),
                *(f"POST {outside}{path}" for path in sorted(CLOSED)),
                f"POST {outside}/v1/fleet/pull-messages/../..{CONTROL}",
                f"POST {outside}/v1/fleet/%2e%2e/%2e%2e{CONTROL}",
                f"POST {outside}/{CONTROL}",
                f"POST {outside}/v1/fleet/pull-messages%00/../..{CONTROL}",
            )
            statuses = federation.ask(client, *refused)
            assert [*zip(refused, statuses, strict=True)] == [
                (line, "400" if "%00" in line else "403") for line in refused
            ]
            # What passes the proxy still has to prove that it holds a registered key.
            assert federation.ask(client, f"POST {outside}/v1/fleet/pull-messages") == ["401"]
            (inside,) = federation.ask(client, f"GET https://{federation.place.host}:{handbook.INNER}/health")
            assert "refused" in inside
            configure(tmp_path / "attacker", f"{federation.place.host}:443", federation.tls / "ca.crt")
            code, text = federation.flwr(client, tmp_path / "attacker", "run", federation.kit / "app", "here")
            assert code != 0, text
            end = time.monotonic() + 60
            while stranger.code is None and time.monotonic() < end:
                time.sleep(0.2)
            assert stranger.code not in (0, None), stranger.log.read_text()
        assert net.outside == {}
        assert net.lost > 0
        # The wire does see what would leave: Flower's own defaults look for updates.
        federation.flwr(client, tmp_path / "attacker", "run", federation.kit / "app", "here", quiet={})
        assert net.outside

    found = load_file(federation.folder / "run" / "adapter.safetensors")
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
