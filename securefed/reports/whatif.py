"""Everything that is foretold of a plan: what it costs, what degrades it, and which accuracy lies in reach."""

from __future__ import annotations

from securefed.errors import ConfigError
from securefed.plan import Plan
from securefed.reports.degradation import degradation
from securefed.reports.preview import preview
from securefed.reports.record import Json
from securefed.reports.regions import changes, is_measured, region
from securefed.reports.seconds import seconds

CAUTION = (
    "Measured with the embedded model on held-out images of the generated domains sketch, painting, neon and chalk, "
    "mean and standard deviation over partitions and seeds: a region, not a promise. Other images have another "
    "zero-shot accuracy and another gain."
)


def what_if(plan: Plan, accuracy: float | None = None) -> Json:
    """Return a plan's preview, the seconds it will take, what degrades it and its region of accuracy.

    Args:
        plan: The plan.
        accuracy: A wanted accuracy; by default nobody asks for one.

    Returns:
        The values of :func:`securefed.reports.preview.preview` and :func:`securefed.reports.seconds.seconds`;
        ``degradation``, a list of rows; ``region``, None for plans of which nothing was measured; and, if an accuracy
        is wanted, ``wanted_accuracy`` and ``changes``.

    Raises:
        ConfigError: If the accuracy is none, or nothing can be said of it; see
            :func:`securefed.reports.regions.changes`.
    """
    shown = preview(plan)
    if accuracy is not None:
        if not 0 < accuracy < 1:
            raise ConfigError(f"the wanted accuracy is {accuracy:g}; it lies between 0 and 1")
        shown |= {"wanted_accuracy": accuracy, "changes": changes(plan, accuracy)}
    found = {**region(plan), "caution": CAUTION} if is_measured(plan) else None
    return shown | seconds(plan) | {"degradation": degradation(plan), "region": found}
