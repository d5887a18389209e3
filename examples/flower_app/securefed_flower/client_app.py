"""Flower looks for the ClientApp here; it carries messages to the agent on this machine."""

from securefed.federation.flower import client

app = client.app
