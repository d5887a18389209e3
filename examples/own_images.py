"""Your own images, one folder a domain: every client holds one, a further domain shows how far the adapter carries.

    python examples/own_images.py photos --left-out night --adapter fedclip

``photos`` holds ``DOMAIN/CLASS/*.png`` (or ``.jpg`` and others), as PACS and Office-Home unpack. Classes that the
package cannot draw start from class texts, or from images that a text-to-image tool drew (``--public-images``, one
folder a class). Any model of open_clip whose weights are on this machine can take the place of the embedded one:
``--model ViT-B-32 --checkpoint vit-b-32.safetensors``.

Nothing is downloaded. Features are encoded once and kept (``--cache``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from securefed.errors import SecureFedError


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="DOMAIN/CLASS/ images, or CLASS/ images")
    parser.add_argument("--left-out", help="domain that nobody trains on")
    parser.add_argument("--adapter", default="cachefl", help="cachefl, fedclip, flora, linear, clip-adapter or prompts")
    parser.add_argument("--model", default="securefed-tiny", help="a name of open_clip")
    parser.add_argument("--pretrained", help="tag of published weights on this machine, such as openai")
    parser.add_argument("--checkpoint", type=Path, help="file of the model's weights")
    parser.add_argument("--public-images", type=Path, help="CLASS/ images that some generator drew")
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto")
    parser.add_argument("--cache", type=Path, help="folder where features are kept")
    parser.add_argument("--partition", default="domain", help="domain, iid, dirichlet:ALPHA or others")
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--setting", default="distributed", help="distributed, per-client, client-level or none")
    parser.add_argument("--epsilon", type=float, default=4.0)
    parser.add_argument("--delta", type=float, default=1e-5, help="below 1 / records")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the run")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the example; return the exit code: 0 ok, 2 refused."""
    try:
        demonstrate(parse(arguments))
    except SecureFedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def demonstrate(options: argparse.Namespace) -> None:
    """Plan, run, report, check."""
    from securefed import recipes, runs
    from securefed.machine import Machine
    from securefed.reports import render
    from securefed.reports.report import RunRecord, build
    from securefed.reports.verify import verify

    machine = Machine(
        checkpoint=options.checkpoint,
        public_images=options.public_images,
        cache=options.cache,
        device=options.device,
    )
    plan = recipes.recipe(
        options.adapter,
        data=f"folder:{options.folder.resolve()}",
        partition=options.partition,
        left_out=options.left_out,
        clients=options.clients,
        setting=options.setting,
        epsilon=options.epsilon,
        delta=options.delta,
        model=options.model,
        pretrained=options.pretrained,
        machine=machine,
    )
    print(f"{plan.expected_records} images, {len(plan.classes)} classes, {plan.dim} numbers each way ({plan.public})")
    runs.execute(plan, options.out, machine=machine)
    record = RunRecord.read(options.out)
    render.write(build(record), options.out)
    verify(options.out)

    print(f"zero-shot {record.start.zero_shot_accuracy:.3f}, accuracy {record.rounds[-1].accuracy:.3f}")
    if options.left_out:
        print(
            f"on {options.left_out}, which nobody trained on: zero-shot {record.end.unseen_zero_shot_accuracy:.3f}, "
            f"accuracy {record.end.unseen_accuracy:.3f}"
        )
    print(f"report: {options.out / 'report.md'}")
    assert len(record.rounds) == plan.rounds


if __name__ == "__main__":
    sys.exit(main())
