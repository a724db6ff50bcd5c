"""How vLLM is set up: what a CPU needs never reaches a GPU."""

import json
from dataclasses import replace
from pathlib import Path

from funreason_train.evaluate.serve.engine import EngineOptions, environment

CPU = EngineOptions(
    device="cpu",
    dtype="float32",
    tensor_parallel=1,
    sequences=64,
    batched_tokens=2048,
    block_size=32,
    kv_cache_bytes=2**30,
    gpu_memory=0.9,
    eager=True,
    max_model_tokens=4096,
    seed=3,
)
GPU = replace(
    CPU, device="cuda", dtype="auto", tensor_parallel=2, block_size=None, kv_cache_bytes=None, eager=False
)


def test_cpu_settings_stay_on_the_cpu() -> None:
    here, there = environment(CPU, 1), environment(GPU, 8)
    assert here["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0" and here["TORCH_COMPILE_DISABLE"] == "1"
    assert not {"VLLM_ENABLE_V1_MULTIPROCESSING", "TORCH_COMPILE_DISABLE", "VLLM_CPU_OMP_THREADS_BIND"} & set(
        there
    )
    assert (here["OMP_NUM_THREADS"], there["OMP_NUM_THREADS"]) == ("1", "8")
    assert here["HF_HUB_OFFLINE"] == there["HF_HUB_OFFLINE"] == "1"
    assert "TORCH_COMPILE_DISABLE" not in environment(replace(CPU, eager=False), 1)


def test_what_is_left_to_vllm_is_not_passed() -> None:
    assert "gpu_memory_utilization" not in CPU.arguments("m")
    assert not {"block_size", "kv_cache_memory_bytes"} & set(GPU.arguments("m"))
    assert GPU.arguments("m")["gpu_memory_utilization"] == 0.9
    assert GPU.arguments("m")["tensor_parallel_size"] == 2
    assert CPU.arguments("m")["trust_remote_code"] is False


def test_seeded_requests_on_a_cpu_are_never_split() -> None:
    """vLLM's engine dies otherwise, as soon as a batch is larger than a step."""
    seeded = replace(CPU, whole_prompts=True).arguments("m")
    assert seeded["enable_chunked_prefill"] is False
    assert seeded["max_num_batched_tokens"] == 4096
    assert "enable_chunked_prefill" not in {**CPU.arguments("m"), **GPU.arguments("m")}


def test_every_argument_exists_in_the_installed_vllm() -> None:
    import ast
    import importlib.util
    from pathlib import Path

    found = importlib.util.find_spec("vllm")  # read, not imported, which takes many seconds
    assert found is not None and found.origin
    source = ast.parse((Path(found.origin).parent / "engine" / "arg_utils.py").read_text(encoding="utf-8"))
    known = next(node for node in source.body if isinstance(node, ast.ClassDef) and node.name == "EngineArgs")
    names = {
        item.target.id
        for item in known.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    assert {*replace(CPU, whole_prompts=True).arguments("m"), *GPU.arguments("m")} <= names


def test_options_travel_as_json(tmp_path: Path) -> None:
    from funreason_train.evaluate.job import Job, Model
    from funreason_train.evaluate.serve.generate import Sampling

    model = Model("base", "/m", "/parts", (("a",), ("b",)), 4096, 3, "m")
    job = Job("/tasks", (model,), Sampling(0.0, 1.0, 8, 4096, 1), 6, "compact", 4, CPU, "http://x/v1")
    assert Job.of_json(json.loads(json.dumps(job.to_json()))) == job
