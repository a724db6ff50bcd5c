"""Rollouts without vLLM: what is drawn, what it is said to have cost, and weights from verl's own sender."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rl_runs import told

from funreason_train.rl.rollout.decode import Request, narrowed, sample
from funreason_train.rl.verl import session
from funreason_train.settings.compose import compose

WORDS = 40
PAD = 0


def model(seed: Any = 0) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=WORDS,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        initializer_range=0.3,
        tie_word_embeddings=True,
        eos_token_id=1,
    )
    return Qwen3ForCausalLM(config).eval()


def alone(model: Any, prompt: Any, tokens: Any, temperature: Any = 1.0) -> Any:
    """Log-probabilities of a completion from one pass over it, without padding or cache."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + tokens])).logits[0] / temperature
    places = torch.arange(len(prompt) - 1, len(prompt) + len(tokens) - 1)
    return logits.log_softmax(-1)[places, torch.tensor(tokens)]


def test_the_likeliest_tokens_are_those_of_transformers_own_generation() -> None:
    ours = model()
    prompts = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]
    found = sample(ours, [Request(prompt, 8, temperature=0) for prompt in prompts], {1}, PAD)
    for prompt, done in zip(prompts, found, strict=True):
        wanted = ours.generate(
            torch.tensor([prompt]), max_new_tokens=8, do_sample=False, eos_token_id=1, pad_token_id=PAD
        )
        assert done.tokens == wanted[0, len(prompt) :].tolist()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.integers(2, WORDS - 1), min_size=1, max_size=9), min_size=1, max_size=4),
    st.floats(0.5, 1.5),
)
def test_log_probs_are_those_of_the_training_pass(prompts: Any, temperature: Any) -> None:
    ours = model()
    requests = [Request(prompt, 5, temperature, seed=place) for place, prompt in enumerate(prompts)]
    for prompt, done in zip(prompts, sample(ours, requests, {1}, PAD), strict=True):
        assert 1 <= len(done.tokens) <= 5
        assert 1 not in done.tokens[:-1]  # nothing comes after the end
        wanted = alone(ours, prompt, done.tokens, temperature)
        assert torch.tensor(done.log_probs) == pytest.approx(wanted, abs=2e-5)


def test_a_completion_has_its_own_seed_and_limit_whoever_else_is_in_the_batch() -> None:
    ours = model()
    wanted = Request([5, 6], 6, seed=11)
    (lonely,) = sample(ours, [wanted], {1}, PAD)
    others = [Request([7] * 9, 2, seed=3), Request([8], 6, seed=11)]
    crowded = sample(ours, [*others, wanted], {1}, PAD)
    assert crowded[2].tokens == lonely.tokens
    assert len(crowded[0].tokens) <= 2
    assert len({tuple(sample(ours, [Request([5, 6], 6, seed=s)], {1}, PAD)[0].tokens) for s in range(8)}) > 1


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=12), st.floats(0.05, 0.99), st.integers(-1, 12))
def test_the_nucleus_keeps_the_likeliest_and_no_more(weights: Any, top_p: Any, top_k: Any) -> None:
    chances = torch.tensor(weights) / sum(weights)
    kept = narrowed(chances, top_p, top_k)
    assert kept.max() == chances.max()
    left, gone = kept[kept > 0], chances[kept == 0]
    assert len(gone) == 0 or left.min() >= gone.max()  # the likeliest stay
    if top_k <= 0 or top_k >= len(weights):
        assert left.sum() >= top_p - 1e-5
        assert left.sum() - left.min() < top_p + 1e-5  # without the least likely one it is not enough


def test_what_the_trained_model_knows_nothing_of_is_refused() -> None:
    with pytest.raises(ValueError, match="repetition penalty"):
        Request.of([1], {"repetition_penalty": 1.1}, 5)
    assert Request.of([1], {"max_tokens": 99, "top_p": 0.5}, 5) == Request([1], 5, top_p=0.5)


@pytest.fixture
def engine(tmp_path: Any, monkeypatch: Any) -> Any:
    """An engine on a model of its own; its tokenizer is not needed here."""
    from funreason_train.rl.cpu.platform import CpuPlatform
    from funreason_train.rl.rollout import engine as module

    # As in a process of a CPU run; other tests may have let verl choose another platform for this one.
    transfer = module.weight_transfer()
    monkeypatch.setattr(transfer, "get_torch_device", lambda: CpuPlatform.device_module)
    monkeypatch.setattr(transfer, "is_support_ipc", lambda: False)
    monkeypatch.setattr(module, "end_tokens", lambda _: {1})
    monkeypatch.setattr(
        "transformers.AutoTokenizer.from_pretrained", lambda _: SimpleNamespace(pad_token_id=PAD)
    )
    model().save_pretrained(tmp_path / "model")
    config = SimpleNamespace(
        dtype="float32",
        max_num_seqs=3,
        max_model_len=12,
        prompt_length=8,
        response_length=4,
        free_cache_engine=True,
    )
    return module.Engine(config, str(tmp_path / "model"), None)


def exchange(engine: Any, weights: Any, path: Any) -> Any:
    """Sends weights as a training worker does, while the engine receives them."""
    from funreason_train.rl.rollout.engine import weight_transfer

    handle = f"ipc://{path / 'weights.sock'}"
    sender = weight_transfer().BucketedWeightSender(handle, 1, True)
    sending = sender.async_send_weights(iter(weights))
    thread = threading.Thread(target=asyncio.run, args=(sending,), daemon=True)
    thread.start()
    try:
        asyncio.run(asyncio.wait_for(engine.receive(handle, True, 7), 60))
    finally:
        thread.join(60)
    assert not thread.is_alive()


def test_trained_weights_arrive_through_verls_own_sender(engine: Any, tmp_path: Any) -> None:
    trained = model(seed=1)
    exchange(engine, trained.state_dict().items(), tmp_path)  # with lm_head.weight, which is tied
    for name, value in engine.model.state_dict().items():
        assert torch.equal(value, trained.state_dict()[name]), name
    answer = asyncio.run(engine.generate([5, 6], {"temperature": 0, "logprobs": True}, "one"))
    assert answer.extra_fields["global_steps"] == 7
    assert answer.log_probs == pytest.approx(alone(trained, [5, 6], answer.token_ids).tolist(), abs=2e-5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda weights: weights.pop("model.norm.weight"), "model.norm.weight"),
        (lambda weights: weights.update(extra=torch.zeros(2)), "extra"),
    ],
)
def test_weights_of_another_model_are_an_error_and_no_deadlock(
    engine: Any, tmp_path: Any, change: Any, named: Any
) -> None:
    weights = dict(model().state_dict())
    change(weights)
    with pytest.raises(RuntimeError, match=named):
        exchange(engine, weights.items(), tmp_path)


def test_requests_at_once_share_batches_and_each_gets_its_own_answer(engine: Any) -> None:
    async def ask() -> Any:
        prompts = [[5, 6], [7], [8, 9, 10], [11], [12, 13]]
        wanted = {"temperature": 1.0, "logprobs": True}
        return await asyncio.gather(
            *(engine.generate(p, {**wanted, "seed": n}, str(n)) for n, p in enumerate(prompts))
        ), prompts

    answers, prompts = asyncio.run(ask())
    for prompt, answer in zip(prompts, answers, strict=True):
        assert answer.log_probs == pytest.approx(
            alone(engine.model, prompt, answer.token_ids).tolist(), abs=2e-5
        )


def test_a_prompt_without_room_is_an_error(engine: Any) -> None:
    with pytest.raises(ValueError, match="leaves no room"):
        asyncio.run(engine.generate([5] * 12, {}, "one"))


def test_no_request_begins_between_abort_and_resume(engine: Any) -> None:
    async def story() -> Any:
        await engine.abort_all_requests()
        request = asyncio.create_task(engine.generate([5], {"temperature": 0}, "one"))
        await asyncio.sleep(0.2)
        assert not request.done()
        await engine.resume_generation()
        return await request

    assert asyncio.run(story()).token_ids


def test_the_engine_is_registered_in_every_process_only_where_it_is_asked_for(tmp_path: Any) -> None:
    from funreason_train.run.paths import RunDir

    run = RunDir.at(tmp_path)
    for word, there in (("rl.rollout.engine=transformers", True), ("rl.rollout.engine=vllm", False)):
        variables = session.environment(compose("rl", [f"run_dir={tmp_path}", word]), run)
        modules = variables["VERL_USE_EXTERNAL_MODULES"].split(",")
        assert ("funreason_train.rl.rollout.replica" in modules) is there
        assert "funreason_train.rl.verl.process" in modules


def test_more_devices_an_engine_than_it_can_take_are_refused() -> None:
    words = ["rl.rollout.engine=transformers", "rl.rollout.tensor_parallel=2"]
    assert any("rl.rollout.tensor_parallel" in problem for problem in told(compose("rl", words)))
