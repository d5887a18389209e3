"""The ClientApp: it carries each message to the agent on this machine and back, and holds nothing.

A SuperLink may ship any other ClientApp in its place. That is why nothing of the client is here: what such code can
reach is the agent's socket, and what it can do there is what a hostile network can do.
"""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from securefed.errors import ConfigError
from securefed.federation.courier import Refused, carry
from securefed.federation.flower.records import unwrap, wrap, wrap_refusal

app = ClientApp()


@app.query("securefed")
def courier(message: Message, context: Context) -> Message:
    """Carry one message; the context stays as empty as it came.

    Raises:
        Unreachable: If there is no agent; Flower tells the server so.
    """
    try:
        content = wrap(carry(agent_of(context), unwrap(message.content)))
    except Refused as error:
        content = wrap_refusal(str(error))
    return Message(content, reply_to=message)


def agent_of(context: Context) -> Path:
    """Return the socket of the agent on this machine.

    The SuperNode's own configuration names it (``--node-config 'agent="PATH"'``). In a simulation there is none, and
    the run's ``agents`` is a folder with one socket for each partition.

    Raises:
        ConfigError: If neither is there.
    """
    if socket := context.node_config.get("agent"):
        return Path(str(socket))
    if folder := context.run_config.get("agents"):
        return Path(str(folder)) / f"{context.node_config['partition-id']}.sock"
    raise ConfigError("no agent is named: start the SuperNode with --node-config 'agent=\"PATH OF ITS SOCKET\"'")
