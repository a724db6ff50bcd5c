"""Playing a task: a policy writes completions, its calls run in a live environment, each turn is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..calls import Call, render_calls
from ..calls.match import Canon
from ..dialogue import (
    Message,
    PromptStyle,
    announced,
    history_answer,
    merge_tool_messages,
    read_completion,
    ready_messages,
    system_prompt,
)
from .faults import faults, note_fault
from .protocol import Result, brief
from .tasks import GoldTurn, Task, execute, leave, opened, play_gold

Policy = Callable[[list[Message]], str]
"""Messages (tool results merged, as `render_prompt` takes them) to the completion after `<think>`."""


@dataclass(frozen=True)
class Limits:
    """When to stop.

    Attributes:
        responses: Most responses a turn; one more fails the turn.
        stop_when_wrong: Whether a wrong turn ends the task, which cannot become right any more.
    """

    responses: int = 6
    stop_when_wrong: bool = True


@dataclass(frozen=True)
class PlayedResponse:
    """One completion, and what its calls answered."""

    completion: str
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()


@dataclass(frozen=True)
class PlayedTurn:
    """One turn as it was played.

    Attributes:
        user: The user's message.
        responses: In order.
        reasons: Why the turn is wrong, `slug: detail` each; empty when it is right.
    """

    user: str
    responses: tuple[PlayedResponse, ...]
    reasons: tuple[str, ...]

    @property
    def state_equal(self) -> bool:
        """Whether the turn was closed in the gold state."""
        return self.closed and "wrong_state" not in self._slugs

    @property
    def results_seen(self) -> bool:
        """Whether the turn was closed after every gold result was seen, and nothing called for nothing."""
        return self.closed and not {"missing_result", "needless_call"} & self._slugs

    @property
    def _slugs(self) -> set[str]:
        return {reason.partition(":")[0] for reason in self.reasons}

    @property
    def closed(self) -> bool:
        """Whether a well-formed reply ended the turn, right or wrong."""
        return self._slugs <= _JUDGEMENTS


#: The slug of a turn in which the environment itself failed.
FAULT = "environment_failed"
#: Slugs of what is said of a turn that a reply has closed; any other ended it before.
_JUDGEMENTS = frozenset({"needless_call", "missing_result", "wrong_state"})


@dataclass(frozen=True)
class Outcome:
    """How a task was played.

    Attributes:
        task: Its id.
        category: Its category.
        right: Whether every turn was played and right.
        turns: The turns played.
    """

    task: str
    category: str
    right: bool
    turns: tuple[PlayedTurn, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """All reasons, each with its turn: `turn 0: slug: detail`."""
        return tuple(f"turn {n}: {reason}" for n, turn in enumerate(self.turns) for reason in turn.reasons)

    def to_json(self) -> dict[str, Any]:
        """The outcome as JSON values, for a failure browser."""
        return {
            "task": self.task,
            "category": self.category,
            "right": self.right,
            "turns": [
                {
                    "user": turn.user,
                    "responses": [
                        {
                            "completion": r.completion,
                            "calls": [call.to_json() for call in r.calls],
                            "results": [result.text for result in r.results],
                            "ok": [result.ok for result in r.results],
                        }
                        for r in turn.responses
                    ],
                    "reasons": list(turn.reasons),
                }
                for turn in self.turns
            ],
        }


@dataclass
class Episode:
    """One task being played, one completion at a time, so that many can share a batch.

    Use: while not `done`, complete `prompt_messages()` and hand the completion to `receive`; then
    `outcome()`.

    A turn ends with a response that calls nothing. It is right if the completion is well formed, the state
    equals the gold state after that turn, every gold call was made with the gold result, and nothing was
    called where the gold calls nothing.

    Calls are compared as the step reward compares them (`calls.match`): key order, stated defaults and 1 for
    1.0 where the schema says number make no difference. As BFCL counts (`multi_turn_checker`), a result that
    was seen in an earlier turn need not be asked for again, in a turn in which something is called; unlike
    BFCL, which compares results alone, the call that it answers has to be the gold call.

    An environment that fails itself (`Environment.fault`) ends the episode: `fault` says why, the turn has
    the reason `environment_failed`, and whoever counts episodes counts it apart, neither as right nor as
    wrong.

    Args:
        task: What to play.
        limits: When to stop.
        style: Of the system prompt.

    Raises:
        EnvironmentFailed: The environment failed before the first prompt.
    """

    task: Task
    limits: Limits = field(default_factory=Limits)
    style: PromptStyle = "bfcl"
    done: bool = field(default=False, init=False)
    fault: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._gold: list[GoldTurn] = play_gold(self.task)
        self._environment = opened(self.task.environment)
        try:
            with faults(self._environment):
                self._environment.reset(self.task.config)
                self._canon = Canon(self._environment.tools())
        except BaseException:
            leave(self._environment)
            raise
        tools = self.task.tool_docs()
        self._tool_names = frozenset(tool["name"] for tool in tools)
        system = system_prompt(tools, self.style)
        self._messages: list[Message] = [{"role": "system", "content": system}]
        self._played: list[PlayedTurn] = []
        self._responses: list[PlayedResponse] = []
        self._begin_turn()

    @property
    def turn(self) -> int:
        """The user turn that is being played; their number when the last one is over."""
        return len(self._played)

    @property
    def last_response(self) -> PlayedResponse:
        """The completion received last.

        Raises:
            IndexError: none was received.
        """
        return (self._responses or self._played[-1].responses)[-1]

    def prompt_messages(self) -> list[Message]:
        """The conversation so far, as the next completion sees it: merged and escaped."""
        return ready_messages(self._messages)

    def receive(self, completion: str) -> None:
        """Takes the completion of `prompt_messages()`: executes its calls, or ends the turn."""
        if self.done:
            raise ValueError(f"task {self.task.id} is over")
        read = read_completion(completion, tool_names=self._tool_names)
        if read.calls is None:
            self._responses.append(PlayedResponse(completion))
            self._end_turn((f"malformed: {read.error}",))
            return
        results = tuple(execute(self._environment, call) for call in read.calls)
        self._responses.append(PlayedResponse(completion, tuple(read.calls), results))
        if self._environment.fault is not None:
            self._end_turn(())
            return
        self._messages.append({"role": "assistant", "content": history_answer(completion) or ""})
        if not read.calls:
            self._end_turn(self._judge())
            return
        self._messages += merge_tool_messages({"role": "tool", "content": one.text} for one in results)
        if len(self._responses) >= self.limits.responses:
            self._end_turn((f"too_many_responses: {len(self._responses)} responses and no end",))

    def stop(self, reason: str) -> None:
        """Ends the task in the turn that is being played, which is wrong for this reason (`slug: detail`)."""
        if not self.done:
            self._end_turn((reason,))
            self._end()

    def turn_outcomes(self) -> list[dict[str, bool]]:
        """`{"state_equal", "results_seen"}` of every user turn; both false for one that was not played."""
        missing = len(self.task.turns) - len(self._played)
        return [
            *({"state_equal": t.state_equal, "results_seen": t.results_seen} for t in self._played),
            *({"state_equal": False, "results_seen": False} for _ in range(missing)),
        ]

    def outcome(self) -> Outcome:
        """The judgement; of a task that is not over, on the turns played so far."""
        right = len(self._played) == len(self.task.turns) and not any(turn.reasons for turn in self._played)
        return Outcome(self.task.id, self.task.category, right, tuple(self._played))

    def _begin_turn(self) -> None:
        number = len(self._played)
        if number == len(self.task.turns):
            self._end()
            return
        self._responses = []
        user = self.task.turns[number].user
        self._tool_names |= {tool["name"] for tool in announced(user)}
        self._messages.append({"role": "user", "content": user})

    def _end_turn(self, reasons: tuple[str, ...]) -> None:
        if self.done:  # stopped while a call was still running
            return
        user = self.task.turns[len(self._played)].user
        if self._environment.fault is not None:
            self.fault = self._environment.fault
            fault = f"{FAULT}: {brief(self.fault)}"
            self._played.append(PlayedTurn(user, tuple(self._responses), (fault,)))
            self._end()
            return
        self._played.append(PlayedTurn(user, tuple(self._responses), reasons))
        if reasons and (self.limits.stop_when_wrong or not self._played[-1].closed):
            self._end()  # without a closing reply there is nothing to go on from
            return
        self._begin_turn()

    def _end(self) -> None:
        self.done = True
        leave(self._environment)

    def _judge(self) -> tuple[str, ...]:
        """Why the turn that has just closed is wrong."""
        number = len(self._played)
        gold, steps = self._gold[number], self.task.turns[number].steps
        made = [call for response in self._responses for call in response.calls]
        if not steps and made:
            return (f"needless_call: {_shown(made)}",)
        seen = Counter(self._obtained() if made else ())
        reasons = []
        for call, result in zip([c for step in steps for c in step], gold.seen(), strict=True):
            key = self._key(call, result)
            if seen[key] < 1:
                reasons.append(f"missing_result: never obtained: {_shown([call])} answers {result.text}")
            seen[key] -= 1
        return (*reasons, *(f"wrong_state: {difference}" for difference in self._differences(gold)))

    def _obtained(self) -> Iterator[Hashable]:
        """What every call of the episode so far was and answered."""
        for response in (*(r for turn in self._played for r in turn.responses), *self._responses):
            yield from map(self._key, response.calls, response.results)

    def _key(self, call: Call, result: Result) -> Hashable:
        """Equal for calls that mean the same by their tool's schema and that were answered with the same."""
        value = result.text if result.value is None else _form(result.value)
        return self._canon.call(call), result.ok, value

    def _differences(self, gold: GoldTurn) -> list[str]:
        try:
            return self._environment.compare(gold.state)
        except Exception as error:  # of an environment that was not written here
            note_fault(self._environment, error)
            return [f"the states cannot be compared ({type(error).__name__}: {brief(error)})"]


def _form(value: Any) -> Hashable:
    """A JSON value so that equal ones are equal and can be counted: 1 is 1.0 and not True."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, Mapping):
        return "object", frozenset((key, _form(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "array", tuple(map(_form, value))
    return value


def _shown(calls: Iterable[Call]) -> str:
    """Calls for a reason; what the call language cannot spell is shortened, never an error."""
    try:
        return render_calls(calls)
    except ValueError as error:
        return f"calls that cannot be written ({brief(error)})"


def play(task: Task, policy: Policy, limits: Limits | None = None, style: PromptStyle = "bfcl") -> Outcome:
    """Plays one task with one policy."""
    episode = Episode(task, limits or Limits(), style)
    while not episode.done:
        episode.receive(policy(episode.prompt_messages()))
    return episode.outcome()
