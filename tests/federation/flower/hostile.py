"""A Flower app that a hostile SuperLink ships: its ClientApp asks agents for what they must not give."""

from securefed.federation.flower import app
from securefed.federation.flower.deployment import flwr

SERVER = """
import time
from pathlib import Path
from flwr.app import Message, RecordDict
from flwr.serverapp import ServerApp
app = ServerApp()

@app.main()
def main(grid, context):
    ids = [Message(RecordDict(), dst_node_id=node, message_type="query") for node in grid.get_node_ids()]
    ids, found, end = list(grid.push_messages(ids)), [], time.monotonic() + 120
    while ids and time.monotonic() < end:
        for each in grid.pull_messages(ids):
            ids.remove(each.metadata.reply_to_message_id)  # asked for again, it would be an error of Flower's own
            found.append(each)
        time.sleep(0.2)
    said = [repr(each.error) if each.has_error() else str(dict(each.content["said"])) for each in found]
    Path(context.run_config["out"]).write_text(chr(10).join(said))
"""

CLIENT = """
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
from securefed.federation.courier import carry
app = ClientApp()

@app.query()
def ask(message, context):
    said = {}
    for request in sorted(Path(context.run_config["kit"]).iterdir()):
        try:
            carry(Path(str(context.node_config["agent"])), request.read_bytes())
            said[request.name] = "ANSWERED"
        except Exception as error:
            said[request.name] = f"{type(error).__name__}: {error}"
    return Message(RecordDict({"said": ConfigRecord(said)}), reply_to=message)
"""


def answers(folder, requests):
    """Run the app in a deployment's folder: what each reachable agent said to each request, a line an agent."""
    app.write(folder / "hostile")
    (folder / "hostile" / "securefed_flower" / "client_app.py").write_text(CLIENT)
    (folder / "hostile" / "securefed_flower" / "server_app.py").write_text(SERVER)
    (folder / "requests").mkdir()
    for name, request in requests.items():
        (folder / "requests" / name).write_bytes(request)
    out = folder / "said"
    config = f'kit="{folder / "requests"}" out="{out}"'
    done = flwr(folder, "run", str(folder / "hostile"), "here", "--stream", "-c", config)
    assert out.exists(), done.stdout
    # Flower itself answers for a node that is gone.
    return [line for line in out.read_text().splitlines() if not line.startswith("Error")]
