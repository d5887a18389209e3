"""The ServerApp: the server's role on Flower's grid, from the server's kit, into a run's folder."""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from securefed.errors import ConfigError
from securefed.federation.flower.grid import GridTransport
from securefed.federation.job import Job
from securefed.rng import secure

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run what is left of the kit's task.

    The run's configuration names ``kit``, the server's folder, and ``out``, where the run is left; ``patience`` is how
    many seconds the slowest phase may take, and ``decryptor`` the socket of the decryptor if sums are encrypted. A run
    that was interrupted goes on if it is started again with the same two folders.
    """
    kit, out, patience, decryptor = (context.run_config.get(key) for key in ("kit", "out", "patience", "decryptor"))
    if not kit or not out:
        raise ConfigError("name the server's kit and the run's folder: flwr run -c 'kit=\"PATH\" out=\"PATH\"'")
    job = Job.open(Path(str(kit)), Path(str(out)), decryptor=Path(str(decryptor)) if decryptor else None)
    transport = GridTransport(grid, job.task.roster, rng=secure())
    wait = float(str(patience or 300))
    transport.find(job.task.plan.cohort, least=job.task.plan.threshold, deadline=wait)
    job.run(transport, longest=wait)
