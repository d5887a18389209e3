"""Flower looks for the ServerApp here; it runs the server's role from the server's kit."""

from securefed.federation.flower import server

app = server.app
