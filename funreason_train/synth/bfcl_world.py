"""Tasks in three of BFCL's environments: a file system, a ticket desk, and arithmetic; needs bfcl-eval.

BFCL scores models in these very environments: whoever trains here trains on the test's functions. States,
names and questions are this generator's own, and the data stage's pass `decontaminate` sees to it that none
is BFCL's. Every gold call is executed; a task is kept only if none fails. Item `i` of a split depends on the
seed and on `i` alone; no word of a state stands in two splits.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..calls import Call
from ..dialogue import Trajectory
from ..environments import Task, TaskTurn, make_environment
from ..environments.bfcl.documents import bfcl_folder
from ..environments.gold import GoldError, gold_conversation
from ..errors import UserError
from .embedded.words import SPLITS, Split

FILES, TICKETS, MATH = "GorillaFileSystem", "TicketAPI", "MathAPI"

_FOLDERS = (
    *("attic", "barn", "cellar", "dairy", "engine", "forge", "garden", "harbour", "island", "jetty", "kiln"),
    *("loft", "mill", "nursery", "orchard"),
)
_STEMS = (
    *("apples", "boats", "candles", "drums", "eggs", "ferns", "gloves", "hinges", "inks", "jars", "kites"),
    *("lamps", "maps", "nails", "oats", "pears", "quilts", "ropes", "seeds", "tiles"),
)
_SAYINGS = (
    *("the gate sticks in wet weather", "two of them are on loan", "count them again in spring"),
    *("keep this away from the stove", "the blue ones belong to Tom", "ask Vera before you lend any"),
    *("the lid is cracked", "most of it was sold on Friday", "nobody has opened this since autumn"),
    *("the key hangs behind the door", "three more will come by boat", "half of this is for the school"),
)
_TROUBLES = (
    *("Lift stops between floors", "Badge reader beeps twice", "Kettle trips the fuse"),
    *("Screen flickers at noon", "Door of room nine jams", "Scanner eats the paper"),
    *("Clock runs ten minutes late", "Heating knocks at night", "Projector smells of smoke"),
    *("Phone in the hall is dead", "Tap in the kitchen drips", "Gate code was forgotten"),
)
_CURES = (
    *("cleaned the contacts", "swapped the cable", "oiled the hinge", "reset the panel", "ordered a new one"),
    *("tightened the valve", "updated the list", "moved it to the shade", "replaced the bulb"),
)
_DRAWS = 50  # of a task, before none is expected to succeed
_OTHERS = 3  # tools offered beside those that are needed


def missing() -> str:
    """What is not installed, as a sentence; empty if nothing."""
    return "" if bfcl_folder() else "it needs bfcl-eval; install the extra cpu or gpu of this package"


def read(config: Mapping[str, Any], seed: int) -> Iterator[Trajectory]:
    """The training conversations.

    Args:
        config: `trajectories` (how many), `categories` (category -> weight).
        seed: Of everything that is drawn.

    Yields:
        Trajectories whose steps are gold; `meta["task"]` is the executable task.

    Raises:
        UserError: an unknown category, or one whose tasks all fail.
    """
    yield from _drawn("train", config["trajectories"], seed, config["categories"])


def tasks(split: Split, count: int, seed: int, categories: Mapping[str, float]) -> Iterator[Task]:
    """Executable tasks of one split; categories are drawn by weight.

    Raises:
        UserError: an unknown split or category.
    """
    for found in _drawn(split, count, seed, categories):
        yield Task.from_json(found.meta["task"])


def _drawn(split: Split, count: int, seed: int, categories: Mapping[str, float]) -> Iterator[Trajectory]:
    for key, value, known in (("split", {split}, SPLITS), ("category", set(categories), CATEGORIES)):
        if unknown := sorted(value - set(known)):
            raise UserError(f"there is no {key} {unknown[0]!r} here", fix=f"There are {', '.join(known)}")
    names, weights = list(categories), list(categories.values())
    for index in range(count):
        rng = random.Random(f"bfcl/{seed}/{split}/{index}")
        category = rng.choices(names, weights)[0]
        yield _executed(rng, split, category, f"bfcl-{split}-{index:06d}")


def _executed(rng: random.Random, split: Split, category: str, identity: str) -> Trajectory:
    """The first task that is drawn whose gold calls all succeed."""
    for _ in range(_DRAWS):
        try:
            return _conversation(rng, split, category, identity)
        except GoldError as error:
            reason = error.detail
    raise UserError(
        f"no task of the category {category} can be solved in BFCL's environments ({reason})",
        fix="Install the bfcl-eval that this package names, or set categories" + category + "=0",
    )


def _think(calls: tuple[Call, ...], text: str) -> str:
    if calls:
        return f"This takes {' and '.join(dict.fromkeys(call.name for call in calls))}."
    return "A value is missing; I have to ask." if text.endswith("?") else "Nothing is left to call."


def _conversation(rng: random.Random, split: Split, category: str, identity: str) -> Trajectory:
    """A task as it is solved.

    Raises:
        GoldError: a gold call of what was drawn fails.
    """
    world = _World.drawn(rng, split)
    classes, turns = rng.choice(CATEGORIES[category])(world)
    environment = f"bfcl/{'+'.join(classes)}"
    needed = {call.name for turn in turns for step in turn.steps for call in step}
    others = [tool["name"] for tool in make_environment(environment).tools() if tool["name"] not in needed]
    offered = [*sorted(needed), *rng.sample(others, _OTHERS)]
    rng.shuffle(offered)
    config = {name: world.config[name] for name in classes if name in world.config}
    task = Task(identity, category, environment, config, tuple(offered), tuple(turns))
    return gold_conversation(task, _think)


@dataclass
class _World:
    """A state of all classes, and the words to talk about it.

    Attributes:
        rng: Draws what a request asks for.
        config: Class -> scenario.
        files: The files at hand, name -> content.
        figures: A file that holds `numbers`.
        folder: A folder, in which the file `inner` says `saying`.
        fresh, folders: Names of files and of folders that are not taken.
        tickets: Ids of the open tickets.
        next_ticket: The id that a new one gets.
        trouble, cure: Title of a new ticket, and how it is resolved.
    """

    rng: random.Random
    config: dict[str, Any]
    files: dict[str, str]
    figures: str
    numbers: list[int]
    folder: str
    inner: str
    saying: str
    fresh: list[str]
    folders: list[str]
    tickets: list[int]
    next_ticket: int
    trouble: str
    cure: str

    @classmethod
    def drawn(cls, rng: random.Random, split: Split) -> _World:
        """A state of this split."""
        own = SPLITS.index(split)

        def some(words: Any, count: int) -> list[str]:
            return rng.sample(list(words)[own :: len(SPLITS)], count)

        stems, folders = some(_STEMS, 6), some(_FOLDERS, 5)
        sayings, troubles = some(_SAYINGS, 4), some(_TROUBLES, 4)
        numbers = [rng.randint(2, 99) for _ in range(rng.choice((3, 4)))]
        files = {f"{stem}.txt": saying for stem, saying in zip(stems[:2], sayings, strict=False)}
        figures, inner = f"{stems[2]}.csv", f"{stems[3]}.txt"
        contents = {
            **{name: _file(text) for name, text in files.items()},
            figures: _file(" ".join(map(str, numbers))),
            folders[0]: _folder({inner: _file(sayings[3])}),
            folders[1]: _folder({}),
        }
        first = rng.randint(20, 800)
        queue = [
            {
                **{"id": first + n, "title": title, "description": "", "status": "Open"},
                **{"priority": rng.randint(1, 5), "created_by": "desk"},
            }
            for n, title in enumerate(troubles[:2])
        ]
        config = {
            FILES: {"root": {folders[2]: _folder(contents)}},
            TICKETS: {"ticket_queue": queue, "ticket_counter": first + 2, "current_user": "desk"},
        }
        return cls(
            rng=rng,
            config=config,
            files=files,
            figures=figures,
            numbers=numbers,
            folder=folders[0],
            inner=inner,
            saying=sayings[3],
            fresh=[f"{stem}.md" for stem in stems[4:]],
            folders=folders[3:],
            tickets=[first, first + 1],
            next_ticket=first + 2,
            trouble=troubles[2],
            cure=some(_CURES, 1)[0],
        )


def _file(content: str) -> dict[str, Any]:
    return {"type": "file", "content": content}


def _folder(contents: dict[str, Any]) -> dict[str, Any]:
    return {"type": "directory", "contents": contents}


_Drawn = tuple[tuple[str, ...], list[TaskTurn]]


def _turn(user: str, *steps: list[Call], text: str = "Done.") -> TaskTurn:
    return TaskTurn(user, tuple(map(tuple, steps)), text)


def _call(name: str, **arguments: Any) -> Call:
    return Call(name, arguments)


def _read_file(w: _World) -> _Drawn:
    name, content = w.rng.choice(list(w.files.items()))
    user = w.rng.choice(("What does {} say?", "Read {} to me.", "Please show me what is in {}.")).format(name)
    return (FILES,), [_turn(user, [_call("cat", file_name=name)], text=f"It says: {content}.")]


def _count_words(w: _World) -> _Drawn:
    name, content = w.rng.choice(list(w.files.items()))
    user = w.rng.choice(("How many words are in {}?", "Count the words of {} for me.")).format(name)
    step = [_call("wc", file_name=name, mode="w")]
    return (FILES,), [_turn(user, step, text=f"There are {len(content.split())} words.")]


def _new_folder(w: _World) -> _Drawn:
    user = w.rng.choice(("I need a new folder {}.", "Make a folder called {} here.")).format(w.folders[0])
    return (FILES,), [_turn(user, [_call("mkdir", dir_name=w.folders[0])])]


def _show_ticket(w: _World) -> _Drawn:
    number = w.rng.choice(w.tickets)
    user = w.rng.choice(("Show me ticket {}.", "What is ticket {} about?")).format(number)
    return (TICKETS,), [_turn(user, [_call("get_ticket", ticket_id=number)])]


def _close_ticket(w: _World) -> _Drawn:
    number = w.rng.choice(w.tickets)
    user = w.rng.choice(("Ticket {} can be closed.", "Please close ticket {}.")).format(number)
    return (TICKETS,), [_turn(user, [_call("close_ticket", ticket_id=number)])]


def _mean(w: _World) -> _Drawn:
    words = f"{', '.join(map(str, w.numbers[:-1]))} and {w.numbers[-1]}"
    user = w.rng.choice(("What is the mean of {}?", "Tell me the average of {}.")).format(words)
    return (MATH,), [_turn(user, [_call("mean", numbers=w.numbers)])]


def _read_inside(w: _World) -> _Drawn:
    user = w.rng.choice(("Go to the folder {0} and read {1} to me.", "What does {1} in the folder {0} say?"))
    steps = [_call("cd", folder=w.folder)], [_call("cat", file_name=w.inner)]
    return (FILES,), [_turn(user.format(w.folder, w.inner), *steps, text=f"It says: {w.saying}.")]


def _add_up(w: _World) -> _Drawn:
    user = w.rng.choice(("Add up the numbers in {}.", "What do the numbers in {} come to?")).format(w.figures)
    steps = [_call("cat", file_name=w.figures)], [_call("sum_values", numbers=w.numbers)]
    return (FILES, MATH), [_turn(user, *steps, text=f"They come to {sum(w.numbers)}.")]


def _two_files(w: _World) -> _Drawn:
    one, two = w.fresh[:2]
    user = w.rng.choice(("Make two empty files, {} and {}.", "Create the files {} and {}.")).format(one, two)
    return (FILES,), [_turn(user, [_call("touch", file_name=one), _call("touch", file_name=two)])]


def _two_tickets(w: _World) -> _Drawn:
    one, two = w.rng.sample(w.tickets, 2)
    user = w.rng.choice(("Close ticket {} and show me ticket {}.", "Close {}, and what is ticket {} about?"))
    step = [_call("close_ticket", ticket_id=one), _call("get_ticket", ticket_id=two)]
    return (TICKETS,), [_turn(user.format(one, two), step)]


def _write_later(w: _World) -> _Drawn:
    name, saying = w.fresh[0], w.saying
    return (FILES,), [
        _turn(f"Make an empty file {name}.", [_call("touch", file_name=name)]),
        _turn(f"Write into it: {saying}", [_call("echo", content=saying, file_name=name)]),
    ]


def _resolve_later(w: _World) -> _Drawn:
    level = w.rng.randint(1, 5)
    opened = _call("create_ticket", title=w.trouble, priority=level)
    solved = _call("resolve_ticket", ticket_id=w.next_ticket, resolution=w.cure)
    return (TICKETS,), [
        _turn(f'Open a ticket "{w.trouble}" with priority {level}.', [opened]),
        _turn(f"That one is solved: {w.cure}.", [solved]),
    ]


def _which_folder(w: _World) -> _Drawn:
    return (FILES,), [
        _turn("Make a new folder for me.", text="What should it be called?"),
        _turn(f"Call it {w.folders[0]}.", [_call("mkdir", dir_name=w.folders[0])]),
    ]


def _which_ticket(w: _World) -> _Drawn:
    number = w.rng.choice(w.tickets)
    return (TICKETS,), [
        _turn("Please close a ticket.", text="Which ticket should I close?"),
        _turn(f"Number {number}.", [_call("close_ticket", ticket_id=number)]),
    ]


CATEGORIES = {
    "single": (_read_file, _count_words, _new_folder, _show_ticket, _close_ticket, _mean),
    "chain": (_read_inside, _add_up),
    "parallel": (_two_files, _two_tickets),
    "follow_up": (_write_later, _resolve_later),
    "missing": (_which_folder, _which_ticket),
}
"""Category -> what draws its requests; configs/synth.yaml says what each is."""
