"""TensorBoard and MLflow: they are told what stands in ``metrics.jsonl``, and epsilon as the plan charges it.

Nothing else reaches them: no loss, no norm, no count of records. What they are told is public: accuracy is measured on
a split that belongs to no client, and epsilon is a function of the plan.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from securefed.errors import ConfigError

if TYPE_CHECKING:
    from securefed.plan import Plan

Tracker: TypeAlias = Callable[[int, float], None]


@contextmanager
def trackers(plan: Plan, out: Path, *, tensorboard: Path | None, mlflow: str | None) -> Iterator[list[Tracker]]:
    """Open the trackers that were asked for, and close them at the end.

    Raises:
        ConfigError: If the package of one is not installed.
    """
    writer = _imported("tensorboard.summary", "tensorboard").Writer(str(tensorboard)) if tensorboard else None
    flow = _imported("mlflow", "mlflow") if mlflow else None
    if flow is not None:
        flow.set_experiment(mlflow)
        flow.start_run(run_name=out.name)
        flow.log_params({"plan_digest": plan.digest, "setting": plan.setting, "secure": plan.secure})
    found: list[Tracker] = []
    if writer is not None:
        found.append(lambda number, accuracy: _to_tensorboard(writer, number, _figures(plan, number, accuracy)))
    if flow is not None:
        found.append(lambda number, accuracy: flow.log_metrics(_figures(plan, number, accuracy), step=number))
    try:
        yield found
    finally:
        if writer is not None:
            writer.close()
        if flow is not None:
            flow.end_run()


def _figures(plan: Plan, number: int, accuracy: float) -> dict[str, float]:
    """Return everything that a tracker is told of a round."""
    if not plan.private:
        return {"accuracy": accuracy}
    from securefed.privacy.accounting import epsilon

    spent = epsilon(plan.events[: number * plan.steps], delta=plan.delta, view="coalition")
    return {"accuracy": accuracy, "epsilon": spent}


def _to_tensorboard(writer: Any, number: int, figures: dict[str, float]) -> None:
    for name, value in figures.items():
        writer.add_scalar(name, value, number)


def _imported(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"{extra} is not installed; pip install 'securefed[{extra}]'") from error
