"""Whether BFCL's ground truths, given as a model's answers, score 100 % in every offline category.

    python benchmarks/bfcl/bfcl_gold.py [--version 2025.8.25] [--limit N] [--out DIR] [CATEGORY …]

A mock endpoint serves them; the evaluation runs as with any model, end to end. Every entry that is judged
wrong is listed with its reason: BFCL's own defects are known below, anything else fails the benchmark. A
killed run with --out DIR continues.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from funreason_train.environments.sandbox.limits import CallLimits
from funreason_train.evaluate.bfcl.categories import GROUPS, choose_categories
from funreason_train.evaluate.bfcl.run import BfclModel, BfclOptions, run_bfcl
from funreason_train.evaluate.bfcl.versions import VERSIONS, python_of
from funreason_train.evaluate.serve.engine import EngineOptions
from funreason_train.evaluate.serve.generate import Sampling

REPOSITORY = Path(__file__).resolve().parents[2]
MOCK = REPOSITORY / "tests" / "evaluate" / "bfcl" / "bfcl_mock.py"
_spec = importlib.util.spec_from_file_location("bfcl_mock", MOCK)
assert _spec is not None and _spec.loader is not None
bfcl_mock = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bfcl_mock)

SAMPLING = Sampling(temperature=0.0, top_p=0.7, max_tokens=20_000, max_model_tokens=247_000, seed=0)
ENGINE = EngineOptions(
    device="cpu",
    dtype="float32",
    tensor_parallel=1,
    sequences=64,
    batched_tokens=4096,
    block_size=32,
    kv_cache_bytes=None,
    gpu_memory=0.9,
    eager=True,
    max_model_tokens=SAMPLING.max_model_tokens,
    seed=0,
)


# Entries whose ground truth no answer can meet, and why: BFCL's own defects.
_NO_VALUE = "the truth allows no value for a required array, not even an empty one"
_ANY = "the truth holds numbers or booleans where BFCL's Java converter makes strings of all elements"
DEFECTS = {
    "simple_java_36": _ANY,
    "simple_java_64": "the truth spells an allowed value as a string where a list of them belongs",
    "simple_java_65": _ANY,
    "live_simple_106-63-0": _NO_VALUE,
    "live_simple_112-68-0": _NO_VALUE,
    "live_multiple_862-181-3": "the truth names an argument that the function lacks",
    "live_multiple_964-207-0": "the truth lacks an argument that the function requires",
}
_NAME = "the truth names another function than the one that is offered"
OLDER_DEFECTS = {
    "simple_python_363": _NAME,
    "simple_javascript_41": _NAME,
    "multi_turn_base_154": "the truth has six turns, the conversation five",
}  # of 2025.8.25, fixed since


def main() -> int:
    arguments = parsed()
    out = Path(arguments.out or tempfile.mkdtemp(prefix="bfcl-gold-"))
    out.mkdir(parents=True, exist_ok=True)
    categories = choose_categories(arguments.categories)
    answers = make_answers(arguments.version, categories, out)
    script = bfcl_mock.Script({f"{c}/{k}": v for c, part in answers.items() for k, v in part.items()})
    texts = [text for entry in script.by_id.values() for turn in entry["turns"] for text in turn]
    model = bfcl_mock.make_model(out / "model", texts, 4096)
    started = time.monotonic()
    with bfcl_mock.MockServer(script, model / "tokenizer.json") as server:
        options = BfclOptions(
            arguments.version,
            categories,
            SAMPLING,
            ENGINE,
            CallLimits(seconds=5.0, wall=60.0, memory=1024),
            limit=arguments.limit,
            endpoint=server.url,
            served_name=bfcl_mock.NAME,
            replicas=({},) * arguments.replicas,
        )
        evaluated = BfclModel("gold", str(model), out / "gold" / "bfcl", "gold", SAMPLING.max_model_tokens)
        info = run_bfcl([evaluated], options, out / "logs")["gold"]
        requests = server.asked
    seconds = time.monotonic() - started
    unexplained = 0
    for category in info["categories"]:
        rows = [json.loads(line) for line in (evaluated.out / f"{category}.jsonl").open(encoding="utf-8")]
        wrong = [row for row in rows if not row["right"]]
        print(f"{category}: {len(rows) - len(wrong)} of {len(rows)} right")
        for row in wrong:
            known = DEFECTS.get(row["id"])
            if arguments.version != VERSIONS[0]:
                known = known or OLDER_DEFECTS.get(row["id"])
            unexplained += known is None
            print(f"  {row['id']}: {known or 'UNEXPLAINED'}")
            print(f"    {row['reasons']}\n    {row['completions'][-1]!r:.300}\n    {row['gold']!r:.300}")
    for category, reason in info["not_run"].items():
        print(f"{category}: not run, {reason}")
    print(f"{requests} requests in {seconds:.0f} s; {unexplained} wrong without an explanation")
    return 1 if unexplained else 0


def make_answers(version: str, categories: tuple[str, ...], out: Path) -> dict:
    """Every entry's gold answers, made where that version of bfcl-eval is installed."""
    file = out / f"answers-{version}.json"
    subprocess.run(
        [python_of(version), str(MOCK), "answers", str(file), *categories],
        check=True,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"},
    )
    return json.loads(file.read_text(encoding="utf-8"))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("categories", nargs="*", default=list(GROUPS["offline"]))
    parser.add_argument("--version", default=VERSIONS[0], choices=VERSIONS)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out")
    parser.add_argument("--replicas", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
