"""What asking costs: tokens and money, kept below a budget before each request and not after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MILLION = 1_000_000
_PER_MESSAGE = 16  # tokens that a chat template may put around a message


@dataclass(frozen=True)
class Budget:
    """What may be spent.

    Attributes:
        prompt_price: Of a million tokens that are sent, in whatever currency.
        completion_price: Of a million tokens that are written.
        most_cost: In the same currency; None for no limit.
        most_tokens: Sent and written together; None for no limit.
    """

    prompt_price: float = 0.0
    completion_price: float = 0.0
    most_cost: float | None = None
    most_tokens: int | None = None

    def cost(self, prompt: float, completion: float) -> float:
        """Of so many tokens."""
        return (prompt * self.prompt_price + completion * self.completion_price) / _MILLION


@dataclass
class Usage:
    """Requests and tokens.

    Attributes:
        requests: That were answered, or may have been charged.
        prompt: Tokens sent.
        completion: Tokens written.
        guessed: Requests whose tokens nobody told, and that stand here with the most they can be.
    """

    requests: int = 0
    prompt: int = 0
    completion: int = 0
    guessed: int = 0

    def add(self, other: Usage) -> None:
        """Adds another account's."""
        self.requests += other.requests
        self.prompt += other.prompt
        self.completion += other.completion
        self.guessed += other.guessed

    def to_json(self) -> dict[str, int]:
        """As JSON values."""
        return {
            "requests": self.requests,
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "guessed": self.guessed,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Usage:
        """The reverse of `to_json`."""
        names = ("requests", "prompt_tokens", "completion_tokens", "guessed")
        return cls(*(int(value.get(name, 0)) for name in names))


@dataclass
class Account:
    """A budget with what was spent of it, and what requests under way may still take.

    Attributes:
        budget: The limits.
        spent: So far, earlier attempts at the same run included.
        held: (prompt, completion) tokens of requests under way, at most.
    """

    budget: Budget
    spent: Usage = field(default_factory=Usage)
    held: list[tuple[int, int]] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Of what was spent."""
        return self.budget.cost(self.spent.prompt, self.spent.completion)

    def fits(self, prompt: int, completion: int) -> bool:
        """Whether a request of at most so many tokens fits, whatever those under way take."""
        prompts = self.spent.prompt + prompt + sum(one for one, _ in self.held)
        completions = self.spent.completion + completion + sum(one for _, one in self.held)
        cost, tokens = self.budget.most_cost, self.budget.most_tokens
        if cost is not None and self.budget.cost(prompts, completions) > cost:
            return False
        return tokens is None or prompts + completions <= tokens

    def hold(self, prompt: int, completion: int) -> tuple[int, int]:
        """Sets tokens aside for a request."""
        self.held.append((prompt, completion))
        return prompt, completion

    def settle(self, held: tuple[int, int], usage: Usage | None) -> None:
        """Gives back what was set aside, and books what was used; None if the request was not served."""
        self.held.remove(held)
        if usage is not None:
            self.spent.add(usage)


def most_tokens(messages: list[dict[str, str]]) -> int:
    """The most tokens that a prompt can have: none is shorter than a byte."""
    return sum(len(one["content"].encode("utf-8", "replace")) + _PER_MESSAGE for one in messages)


def forecast(spent: Usage, accepted: int, wanted: int, budget: Budget) -> dict[str, Any]:
    """What the whole run will take, if it goes on as it began.

    Args:
        spent: So far.
        accepted: Conversations so far.
        wanted: Conversations in all.
        budget: Prices and limits.

    Returns:
        `{"accepted", "wanted", "requests", "prompt_tokens", "completion_tokens", "cost", "enough",
        "sentence"}`; `enough` is false if the budget will end it.
    """
    if not accepted:
        return {"accepted": 0, "wanted": wanted, "sentence": "none of the first samples was accepted yet"}
    times = wanted / accepted
    prompt, completion = round(spent.prompt * times), round(spent.completion * times)
    cost = budget.cost(prompt, completion)
    enough = (budget.most_cost is None or cost <= budget.most_cost) and (
        budget.most_tokens is None or prompt + completion <= budget.most_tokens
    )
    sentence = (
        f"{accepted} of {wanted} conversations took {spent.prompt + spent.completion:,} tokens; all will "
        f"take about {prompt + completion:,} in {round(spent.requests * times):,} requests"
    )
    if budget.prompt_price or budget.completion_price:
        sentence += f", for {cost:.2f}"
    if not enough:
        sentence += "; the budget ends it before"
    return {
        **{"accepted": accepted, "wanted": wanted, "requests": round(spent.requests * times)},
        **{"prompt_tokens": prompt, "completion_tokens": completion, "cost": round(cost, 6)},
        **{"enough": enough, "sentence": sentence},
    }
