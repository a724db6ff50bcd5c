"""Checks, without network, that the locks agree with pyproject.toml and can be installed anywhere.

    python requirements/check.py

Every requirement has one exact version and a hash, no index address is written, each dependency of the
device's extras and of the build is locked at a version it allows, and both locks hold the same frameworks.
All problems are printed at once; exit code 1 if there are any.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

MEND = "run `bash requirements/compile.sh`"
# One resolution: these must not differ between the devices. vLLM's own build differs by name.
SHARED = (
    "llamafactory",
    "verl",
    "torch",
    "transformers",
    "deepspeed",
    "ray",
    "transferqueue",
    "tensordict",
    "bfcl-eval",
)


def read_lock(text: str) -> tuple[dict[str, str], list[str]]:
    """The locked versions by canonical name, and a sentence for each entry that cannot be trusted."""
    versions: dict[str, str] = {}
    problems = []
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for entry in filter(None, re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()):
        if re.search(r"://|^\s*-", entry):
            problems.append(f"'{entry.split()[0]}' brings an address or an option with it")
            continue
        pin, *hashes = entry.split(" --hash=sha256:")
        try:
            requirement = Requirement(pin.strip())
        except InvalidRequirement:
            problems.append(f"'{pin.strip()}' cannot be read")
            continue
        exact = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if exact is None:
            problems.append(f"{requirement.name} has no exact version")
            continue
        if not hashes or not all(re.fullmatch(r"[0-9a-f]{64}\s*", digest) for digest in hashes):
            problems.append(f"{requirement.name} has no sha256 hash")
        versions[canonicalize_name(requirement.name)] = exact[1]
    return versions, problems


def wanted(project: dict[str, Any], device: str) -> list[Requirement]:
    """What pyproject.toml asks for on a device, the overrides in place of what they override."""
    extras = project["project"]["optional-dependencies"]
    overrides = [Requirement(line) for line in project["tool"]["uv"]["override-dependencies"]]
    overridden = {canonicalize_name(requirement.name) for requirement in overrides}
    lines = [*project["project"]["dependencies"], *project["build-system"]["requires"], *extras["dev"]]
    open_extras, seen = [device], {device}
    while open_extras:
        for line in extras[open_extras.pop()]:
            requirement = Requirement(line)
            if requirement.name == project["project"]["name"]:
                new = requirement.extras - seen
                seen |= new
                open_extras += new
            else:
                lines.append(line)
    direct = [Requirement(line) for line in lines]
    return overrides + [one for one in direct if canonicalize_name(one.name) not in overridden]


def problems_of(project: dict[str, Any], locks: dict[str, str]) -> list[str]:
    """Every disagreement between the parsed pyproject.toml and the locks' texts by device, as sentences."""
    found = []
    versions: dict[str, dict[str, str]] = {}
    for device, text in locks.items():
        versions[device], problems = read_lock(text)
        for requirement in wanted(project, device):
            version = versions[device].get(canonicalize_name(requirement.name))
            if version is None:
                problems.append(f"{requirement.name} is missing")
            elif not requirement.specifier.contains(version, prereleases=True):
                problems.append(
                    f"{requirement.name} is {version}, pyproject.toml asks for {requirement.specifier}"
                )
        found += [f"requirements/{device}.lock: {problem}" for problem in problems]
    for name in SHARED:
        if len({locked.get(name) for locked in versions.values()}) > 1:
            found.append(f"requirements: {name} differs between the locks")
    return found


def extra_problems(project: dict[str, Any], text: str, device_lock: str) -> list[str]:
    """What is wrong with the lock of the extra `memory`, which is installed beside a device's lock."""
    versions, problems = read_lock(text)
    beneath, _ = read_lock(device_lock)
    for line in project["project"]["optional-dependencies"]["memory"]:
        requirement = Requirement(line)
        version = versions.get(canonicalize_name(requirement.name))
        if version is None:
            problems.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(version, prereleases=True):
            asked = requirement.specifier
            problems.append(f"{requirement.name} is {version}, pyproject.toml asks for {asked}")
    twice = sorted(versions.keys() & beneath.keys())
    problems += [f"{name} is in the device's lock as well" for name in twice]
    return [f"requirements/memory.lock: {problem}" for problem in problems]


def main() -> int:
    root = Path(__file__).resolve().parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    locks = {device: (root / f"requirements/{device}.lock").read_text() for device in ("cpu", "gpu")}
    problems = problems_of(project, locks)
    memory = (root / "requirements/memory.lock").read_text()
    for lock in locks.values():
        problems += [one for one in extra_problems(project, memory, lock) if one not in problems]
    for problem in problems:
        print(f"{problem}: {MEND}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
