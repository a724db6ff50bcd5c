"""The index of a benchmark's n-grams against the plainest way to make it."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.data.check.overlap import Index
from funreason_train.data.check.words import ngrams, words

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=8).map(" ".join), max_size=6)


@given(TEXTS, st.integers(1, 4), st.lists(st.sampled_from("abcde"), max_size=12).map(" ".join))
def test_an_index_finds_what_comparing_with_each_text_finds(texts: Any, size: Any, asked: Any) -> None:
    index = Index.of("text", [(str(n), text) for n, text in enumerate(texts)], size)
    said = set(ngrams(words(asked), size).tolist())
    held = {str(n): set(ngrams(words(text), size).tolist()) for n, text in enumerate(texts)}
    shares = {name: len(said & grams) / len(grams) for name, grams in held.items() if grams}
    best = max(shares.values(), default=0.0)
    found = index.overlap(ngrams(words(asked), size))
    assert (found[1] if found else 0.0) == best
    assert found is None or shares[found[0]] == best
    distinct = {tuple(sorted(grams)) for grams in held.values() if grams}
    assert len(index.names) == len(distinct) and index.hashes.dtype == np.uint64
