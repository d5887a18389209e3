"""What a release is checked with: locked dependencies, a bill of materials, known vulnerabilities, one same wheel.

    pip install '.[release]'
    python -m tools.release lock       # requirements.lock: the tested versions, each file by its SHA-256
    python -m tools.release sbom       # sbom.cdx.json: CycloneDX, of what the lock installs, and of the weights
    python -m tools.release audit      # asks the Python Packaging Advisory Database; needs a network
    python -m tools.release wheel      # builds in two folders at two times; the wheels must be one

Exit code 0 only if what was asked for holds; an audit that could not ask about a package does not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
SBOM = ROOT / "sbom.cdx.json"
ASSETS = ROOT / "securefed" / "assets"
WEIGHTS = "weights-"
ENVIRONMENT = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def lock() -> int:
    """Write the newest versions that the project's bounds allow, tests included, for Python 3.11 on Linux."""
    where = ("--python-version", "3.11", "--python-platform", "x86_64-unknown-linux-gnu")
    plain = ("--generate-hashes", "--no-annotate", "--no-header", "--quiet")
    return _python("-m", "uv", "pip", "compile", "pyproject.toml", "--extra", "test", *where, *plain, "-o", str(LOCK))


def sbom() -> int:
    """Install the lock into an environment of its own and describe what came, and the weights that are shipped."""
    with tempfile.TemporaryDirectory(prefix="securefed-") as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        plain = ("--output-reproducible", "--of", "JSON", "-o", str(SBOM))
        steps = (
            ("-m", "venv", str(python.parents[1])),
            ("-m", "pip", "--python", str(python), "install", "--quiet", "--require-hashes", "-r", str(LOCK)),
            ("-m", "cyclonedx_py", "environment", str(python), "--pyproject", "pyproject.toml", *plain),
        )
        if failed := next(filter(None, (_python(*step) for step in steps)), 0):
            return failed
    describe_shipped()
    return 0


def describe_shipped() -> None:
    """Describe the files that are shipped beside the code anew; what the lock installs stays as it was described."""
    bill = json.loads(SBOM.read_text(encoding="utf-8"))
    installed = [part for part in bill["components"] if not part["bom-ref"].startswith(WEIGHTS)]
    bill["components"] = [_without_places(part) for part in installed] + weights()
    SBOM.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def audit() -> int:
    """Ask for published vulnerabilities of exactly what is locked; what cannot be asked about is no good news."""
    return _python("-m", "pip_audit", "--strict", "--require-hashes", "--disable-pip", "-r", str(LOCK))


def wheel() -> int:
    """Build the committed tree twice, in other folders, at other times and with other rights; compare byte by byte."""
    digests = [_wheel_digest(epoch, umask) for epoch, umask in ((315_532_800, 0o022), (1_700_000_000, 0o077))]
    sys.stdout.write("\n".join(digests) + "\n")
    return int(len(set(digests)) != 1)


def weights() -> list[dict[str, Any]]:
    """Return a component for every file of the embedded model."""
    return [
        {
            "bom-ref": f"{WEIGHTS}{path.name}",
            "type": "machine-learning-model" if path.suffix == ".safetensors" else "data",
            "name": path.name,
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        }
        for path in sorted(ASSETS.iterdir())
    ]


def _without_places(component: dict[str, Any]) -> dict[str, Any]:
    """Return a component without the addresses from which this machine took its files."""
    kept = [link for link in component.get("externalReferences", []) if link["type"] != "distribution"]
    return {**component, "externalReferences": kept}


def _wheel_digest(build_time: int, umask: int) -> str:
    with tempfile.TemporaryDirectory(prefix="securefed-") as folder:
        tree, out = Path(folder) / "tree", Path(folder) / "out"
        tree.mkdir(mode=0o700)
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S607
        subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True, umask=umask)  # noqa: S603, S607
        for path in tree.rglob("*"):
            os.utime(path, (build_time, build_time))
        if _python("-m", "build", "--wheel", "--outdir", str(out), str(tree)):
            return f"not built at {build_time}"
        return hashlib.sha256(next(out.glob("*.whl")).read_bytes()).hexdigest()


def _python(*words: str) -> int:
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=ENVIRONMENT, check=False).returncode  # noqa: S603


COMMANDS: dict[str, Callable[[], int]] = {"lock": lock, "sbom": sbom, "audit": audit, "wheel": wheel}


def main() -> int:
    """Carry out one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    return COMMANDS[parser.parse_args().command]()


if __name__ == "__main__":
    sys.exit(main())
