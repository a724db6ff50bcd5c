"""BFCL's categories and the names that stand for several of them."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import Problem, UserError, refuse
from ...settings.names import unknown

NON_LIVE = (
    *("simple_python", "simple_java", "simple_javascript"),
    *("multiple", "parallel", "parallel_multiple", "irrelevance"),
)
LIVE = (
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
    *("live_irrelevance", "live_relevance"),
)
MULTI_TURN = ("multi_turn_base", "multi_turn_miss_func", "multi_turn_miss_param", "multi_turn_long_context")
MEMORY = ("memory_kv", "memory_vector", "memory_rec_sum")
WEB_SEARCH = ("web_search_base", "web_search_no_snippet")
CATEGORIES = (*NON_LIVE, *LIVE, *MULTI_TURN, *MEMORY, *WEB_SEARCH)
"""All that count towards a score, in the order of tables."""

ONLINE = ("memory_vector", *WEB_SEARCH)
"""What needs a model of its own (launch/bfcl_memory.sh), or the open web and a key."""

_ASIDE = ("irrelevance", "live_irrelevance", "live_relevance")  # in no column of the paper

GROUPS = {
    "all": CATEGORIES,
    "paper": tuple(name for name in CATEGORIES if name not in _ASIDE),
    "offline": tuple(name for name in CATEGORIES if name not in ONLINE),
    "non_live": NON_LIVE,
    "live": LIVE,
    "single_turn": (*NON_LIVE, *LIVE),
    "multi_turn": MULTI_TURN,
    "memory": MEMORY,
    "web_search": WEB_SEARCH,
    "agentic": (*MEMORY, *WEB_SEARCH),
}


def choose_categories(names: Iterable[str]) -> tuple[str, ...]:
    """The categories that names of categories and groups stand for, each once, in the order of tables.

    Raises:
        UserError: there is no such category, or none is named.
    """
    known = [*GROUPS, *CATEGORIES]
    wanted: set[str] = set()
    strangers = []
    for name in map(str, names):
        if name in GROUPS:
            wanted.update(GROUPS[name])
        elif name in CATEGORIES:
            wanted.add(name)
        else:
            strangers.append(unknown("BFCL category", name, known))
    fix = f"Use groups ({', '.join(GROUPS)}) or categories ({', '.join(CATEGORIES)})"
    refuse(Problem(stranger, "eval.categories", fix) for stranger in strangers)
    if not wanted:
        raise UserError("no BFCL category is named", where="eval.categories", fix=fix)
    return tuple(name for name in CATEGORIES if name in wanted)


def is_prerequisite(name: str) -> bool:
    """Whether an entry's id is that of a conversation that fills the memory and has no answer to check."""
    return "_prereq" in name
