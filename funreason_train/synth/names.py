"""What `synth.maker` and `synth.agents` may be; light, since every configuration is checked against it."""

from __future__ import annotations

from collections.abc import Mapping

PHASES = "phases"

#: The settings that say how much is made: rows, tasks to tune on, tasks to measure on; in this order.
COUNTS = ("trajectories", "tuning_tasks", "heldout_tasks")

#: `synth.maker` -> the module; `phases` is a package's work of its own (`phases.py`).
MAKERS = {PHASES: "phases", "embedded": "embedded.generate", "bfcl_world": "bfcl_world"}

#: `synth.agents` -> what they are.
AGENTS: Mapping[str, str] = {
    "offline": "templates and rules, no model",
    "openai": "models behind an OpenAI-compatible endpoint",
    "vllm": "a model that vLLM serves on this machine",
}
