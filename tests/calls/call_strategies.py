"""What a call can hold, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from funreason_train.calls import Call

_LETTERS = st.sampled_from("aZ_éßñ查询भमौसम்வானிऩЖאअ﷽ﬁª²९٣क़்ิ：。")
unicode_names = st.lists(_LETTERS | st.characters(), min_size=1, max_size=8).map("".join)
"""Names in all scripts, most of them not names of the call language."""
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}(\.[a-z]{1,4}){0,2}", fullmatch=True).filter(
    lambda name: name not in ("True", "False", "None", "true", "false", "null")
)
argument_names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["</think>", "<|im_end|>", "\\", '"', "'", "\\d", "\n\r\t", "\x00\x7f", "😀", "#", "{}[]()"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
calls = st.builds(Call, names, st.dictionaries(argument_names, values, max_size=4))
call_lists = st.lists(calls, min_size=1, max_size=5)
