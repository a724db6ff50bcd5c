"""What the hosts of a failed step said last."""

from __future__ import annotations

from pathlib import Path

from .plan import Place, Step

_LINES = 4
#: How the launch scripts and the command begin their own errors.
_ERRORS = ("Error:", "funreason-train:")


def last_words(place: Place, step: Step, code: int) -> str:
    """The error of each host that told one, else the end of the first host's output.

    Args:
        place: The rehearsal's.
        step: What failed.
        code: How the first host's script ended.
    """
    lines = [f"{step.stage} failed (code {code}):"]
    told = False
    for rank in range(step.hosts):
        log = place.log(step.stage, rank)
        said = _lines(log)
        errors = [line for line in said if line.startswith(_ERRORS)]
        shown = errors[-1:] if errors else (said[-_LINES:] if rank == 0 and not told else [])
        told = told or bool(errors)
        lines += [f"  host{rank}: {line}" for line in shown]
    lines.append(f"  everything that was printed: {place.log(step.stage, 0).parent}")
    return "\n".join(lines)


def _lines(log: Path) -> list[str]:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]
