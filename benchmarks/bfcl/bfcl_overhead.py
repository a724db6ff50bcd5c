"""What our handler, decoding, checking and isolation cost above bfcl-eval's own, on the same mock endpoint.

    python benchmarks/bfcl/bfcl_overhead.py [--limit N] [--rounds N] [CATEGORY …]    the ratio
    python benchmarks/bfcl/bfcl_overhead.py --full                     our time for all of multi-turn

Both sides get the ground truths as answers from one server, play the same entries with the same tokenizer, 32
at a time in one process, and check them. The other side is the model card's handler in bfcl-eval's own
generation and evaluation. Measured are seconds on the clock and processor seconds (the server's left out), as
the difference between a small and a large sample, so that start-up does not count; the two sides alternate.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from funreason_train.environments.sandbox.limits import CallLimits

THREADS = 32
DEFAULT = ["multi_turn_base", "simple_python", "live_multiple"]  # whose prompts all differ


def main() -> int:
    arguments = parsed()
    if arguments.side:
        (ours if arguments.side == "ours" else theirs)(arguments)
        return 0
    import bfcl_gold

    folder = Path(tempfile.mkdtemp(prefix="bfcl-overhead-"))
    categories = bfcl_gold.GROUPS["multi_turn"] if arguments.full else tuple(arguments.categories)
    answers = bfcl_gold.make_answers(bfcl_gold.VERSIONS[0], categories, folder)
    texts = [
        t for part in answers.values() for entry in part.values() for turn in entry["turns"] for t in turn
    ]
    bfcl_gold.bfcl_mock.make_model(folder / "model", texts, 4096)
    served = [str(folder / f"answers-{bfcl_gold.VERSIONS[0]}.json"), str(folder / "model" / "tokenizer.json")]
    server = subprocess.Popen(
        [sys.executable, str(bfcl_gold.MOCK), "serve", *served],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        if arguments.full:
            wall, cpu, rows = measured("ours", folder, url, categories, None, replicas=2)
            right = sum(row["right"] for row in rows)
            print(f"multi-turn: {right} of {len(rows)} right, {wall:.0f} s, {cpu:.0f} s of processor")
            return 0 if wall < 600 else 1
        return compared(arguments, folder, url, categories)
    finally:
        server.stdin.close()
        server.wait()
        shutil.rmtree(folder)


def compared(arguments: argparse.Namespace, folder: Path, url: str, categories: tuple[str, ...]) -> int:
    """Prints both sides' marginal seconds and their ratio."""
    costs: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}
    for number in range(arguments.rounds):
        for side, found in costs.items():
            small = measured(side, folder, url, categories, 1)
            large = measured(side, folder, url, categories, arguments.limit)
            if not all(row["right"] for row in large[2]):
                print(f"{side}: {sum(not row['right'] for row in large[2])} of {len(large[2])} judged wrong")
            entries = len(large[2]) - len(small[2])
            found.append(tuple(1000 * (large[k] - small[k]) / entries for k in (0, 1)))
            print(
                f"round {number + 1}, {side}: {entries} entries more, each {found[-1][0]:.1f} ms of time "
                f"and {found[-1][1]:.1f} of processor; before them {small[0]:.1f} s and {small[1]:.1f}"
            )
    mean = {
        side: [sum(one[k] for one in found) / len(found) for k in (0, 1)] for side, found in costs.items()
    }
    wall, cpu = (mean["ours"][k] / mean["theirs"][k] for k in (0, 1))
    print(f"ours / theirs: {wall:.2f} on the clock, {cpu:.2f} in processor time (at most 1.10 is asked for)")
    return 0 if min(wall, cpu) <= 1.10 else 1


def measured(side, folder, url, categories, limit, replicas=1):
    """Runs a side; its seconds on the clock and of processor, and its rows."""
    out = folder / f"{side}-{limit}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [
            sys.executable,
            __file__,
            "--side",
            side,
            "--out",
            str(out),
            "--url",
            url,
            "--replicas",
            str(replicas),
        ]
        + ([] if limit is None else ["--limit", str(limit)])
        + ["--model", str(folder / "model"), *categories],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "BFCL_PROJECT_ROOT": str(out / "root"), "TOKENIZERS_PARALLELISM": "false"},
    )
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, json.loads((out / "rows.json").read_text())


def ours(arguments: argparse.Namespace) -> None:
    """In a process of its own: the evaluation as users run it."""
    import bfcl_gold
    from bfcl_gold import BfclModel, BfclOptions, run_bfcl

    out = Path(arguments.out)
    options = BfclOptions(
        bfcl_gold.VERSIONS[0],
        tuple(arguments.categories),
        bfcl_gold.SAMPLING,
        bfcl_gold.ENGINE,
        CallLimits(seconds=5.0, wall=60.0, memory=1024),
        limit=arguments.limit,
        concurrency=THREADS,
        endpoint=arguments.url,
        served_name=bfcl_gold.bfcl_mock.NAME,
        replicas=({},) * arguments.replicas,
    )
    model = BfclModel("gold", arguments.model, out / "bfcl", "gold", bfcl_gold.SAMPLING.max_model_tokens)
    run_bfcl([model], options, out / "logs")
    rows = [json.loads(line) for path in model.out.glob("*.jsonl") for line in path.open(encoding="utf-8")]
    (out / "rows.json").write_text(json.dumps([{"id": row["id"], "right": row["right"]} for row in rows]))


def theirs(arguments: argparse.Namespace) -> None:
    """In a process of its own: bfcl-eval's generation threads and its evaluation, with the card's handler.

    bfcl-eval evaluates what it is given; here that is its own ground truth.
    """
    import types
    from urllib.parse import urlparse

    address = urlparse(arguments.url)
    os.environ |= {"LOCAL_SERVER_ENDPOINT": address.hostname, "LOCAL_SERVER_PORT": str(address.port)}
    stub = types.ModuleType("bfcl_eval.constants.model_config")
    models: dict[str, Any] = {}
    vars(stub)["MODEL_CONFIG_MAPPING"] = models
    sys.modules[stub.__name__] = stub
    from bfcl_eval import _llm_response_generation as generation
    from bfcl_eval import utils
    from bfcl_eval.eval_checker import eval_runner
    from bfcl_eval.model_handler.local_inference.base_oss_handler import OSSHandler

    def override(method):
        method.__override__ = True  # what bfcl-eval's base class asks of the methods that replace its own
        return method

    class Card(OSSHandler):
        """FunReason-MT's handler, as in its model card."""

        @override
        def _format_prompt(self, messages, function):
            merged, results = [], []
            for message in [*messages, None]:
                if message is not None and message["role"] == "tool":
                    results.append(message["content"])
                    continue
                if results:
                    merged.append({"role": "tool", "content": str(results)})
                    results = []
                if message is not None:
                    merged.append(message)
            prompt = self.tokenizer.apply_chat_template(merged, tokenize=False, add_generation_prompt=True)
            return prompt + "<think>"

        @override
        def _parse_query_response_prompting(self, api_response):
            found = super()._parse_query_response_prompting(api_response)
            found["model_responses"] = found["model_responses"].rpartition("</think>")[2].lstrip("\n")
            return found

        @override
        def decode_ast(self, result, language, has_tool_call_tag):
            from bfcl_eval.model_handler.utils import default_decode_ast_prompting

            return default_decode_ast_prompting(result, language, has_tool_call_tag)

        @override
        def decode_execute(self, result, has_tool_call_tag):
            from bfcl_eval.model_handler.utils import default_decode_execute_prompting

            return default_decode_execute_prompting(result, has_tool_call_tag)

    config = types.SimpleNamespace(
        model_name="mock",
        model_handler=Card,
        is_fc_model=False,
        underscore_to_dot=False,
        input_price=None,
        output_price=None,
    )
    models["mock"] = config
    entries: dict[str, Any] = {}
    for category in arguments.categories:
        found = utils.load_dataset_entry(category)
        entries |= {entry["id"]: entry for entry in evenly(found, arguments.limit)}
    out = Path(arguments.out)
    settings = argparse.Namespace(
        temperature=0.0,
        num_threads=THREADS,
        num_gpus=1,
        backend="vllm",
        gpu_memory_utilization=0.9,
        skip_server_setup=True,
        local_model_path=arguments.model,
        lora_modules=None,
        enable_lora=False,
        max_lora_rank=None,
        include_input_log=False,
        exclude_state_log=True,
        allow_overwrite=False,
        run_ids=False,
        result_dir=out / "result",
    )
    generation.generate_results(settings, "mock", sorted(entries.values(), key=utils.sort_key))
    rows = []
    table: dict = {}
    for path in sorted((out / "result").rglob("*_result.json")):
        category = utils.extract_test_category(path)
        answers = utils.load_file(path, sort_by_id=True)
        handler = eval_runner.get_handler("mock")
        eval_runner.evaluate_task(
            category, out / "result", out / "score", answers, "mock", handler, table, allow_missing=True
        )
        score = utils.load_file(next((out / "score").rglob(f"*_{category}_score.json")))
        wrong = {row["id"] for row in score[1:]}
        rows += [{"id": row["id"], "right": row["id"] not in wrong} for row in answers]
    (out / "rows.json").write_text(json.dumps(rows))


def evenly(entries: list, limit: int | None) -> list:
    """The same choice as the evaluation's own `limit`."""
    if limit is None or limit >= len(entries):
        return entries
    return [entries[number * len(entries) // limit] for number in range(limit)]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("categories", nargs="*", default=DEFAULT)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--full", action="store_true")
    for hidden in ("--side", "--out", "--url", "--model"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--replicas", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.limit is None and not arguments.full and not arguments.side:
        arguments.limit = 30
    return arguments


if __name__ == "__main__":
    sys.exit(main())
