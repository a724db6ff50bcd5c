"""A small byte-level BPE with Qwen's control tokens.

Four choices make copying learnable for a model of a million parameters:

- a capitalised word, a digit (or pair of digits) and a snake_case name are pieces of their own, without a
  space before them, so that `Norford`, `TMA` and `get_price` are the same tokens in a question, a document, a
  call and a result. Pairs suit ids such as `K1967`, since what comes after a single digit is hardly ever told
  by that digit alone; the second word of a name has the space before it, so that it comes directly after the
  first one;
- other words are pieces with the space before them, and with the one behind them where such a value follows;
- a sentence in JSON is one piece, and so is a run of punctuation with the words it encloses, such as
  `":{"type":"string"},"`. BPE may merge these as far as the training text repeats itself (as in SuperBPE,
  arXiv 2503.13423), so that the document of a tool costs a handful of tokens;
- any byte has a token, so that any text can be written and read back.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from ..dialogue import QWEN_CHAT_TEMPLATE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT: Final = "<|endoftext|>"
TURN_START: Final = "<|im_start|>"
TURN_END: Final = "<|im_end|>"
SPECIAL: Final = (END_OF_TEXT, TURN_START, TURN_END)
"""Left out when text is decoded without special tokens."""
TAGS: Final = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
"""One token each but never special, as in Qwen3: whoever scores a completion has to see them."""

_PUNCTUATION = r"[^\sA-Za-z0-9_]"
_DIGITS = "[0-9]"
_PIECE = "|".join(
    (
        r'[A-Z][^"\n]*[.](?=")',  # a sentence in JSON
        r"(?<=[a-z]) [A-Z][a-z]+",  # the second word of a name
        r"[A-Z][a-z]*",
        _DIGITS,
        r"[a-z]+(?:_[a-z]+)+",
        rf" ?{_PUNCTUATION}+(?: ?[a-z]+{_PUNCTUATION}+| {_PUNCTUATION}+)*",
        r" ?[a-z]+(?![a-z_])(?: (?=[A-Z0-9]))?",
    )
)
_ROLES = ("system", "user", "assistant")  # what the chat template puts before each text


def train_tokenizer(texts: Iterable[str], vocab_size: int, digits: int = 1) -> Tokenizer:
    """Learns the merges; the same texts give the same tokenizer.

    Args:
        texts: Message contents and completions.
        vocab_size: Most tokens in all, with 256 bytes and the control tokens.
        digits: Most digits of a piece.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    piece = _PIECE.replace(_DIGITS, f"{_DIGITS}{{1,{digits}}}") if digits > 1 else _PIECE
    tokenizer = Tokenizer(models.BPE())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = to_bytes  # for training alone: what it sees has been cut already
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(TAGS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=list(SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_pieces(texts, piece), trainer)
    cut = pre_tokenizers.Split(Regex(piece), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, to_bytes])
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return tokenizer


def _pieces(texts: Iterable[str], piece: str) -> Iterator[str]:
    """Every distinct piece of the texts, as often as the square root of its frequency.

    Otherwise the tools' documents, which stand in every prompt, would use up the vocabulary, and names, each
    of which is rare, would be spelt letter by letter. The roles stand before each text in a rendered prompt.
    """
    cut = re.compile("|".join(map(re.escape, (*TAGS, *SPECIAL))) + f"|({piece})")
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(filter(None, cut.split(text)))
        counts.update(_ROLES)
    for one, count in sorted(counts.items()):
        yield from (one for _ in range(math.isqrt(count)))


def wrap_tokenizer(tokenizer: Tokenizer) -> Any:
    """The Hugging Face tokenizer, with Qwen's control tokens and the protocol's chat template."""
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[TURN_START],
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = QWEN_CHAT_TEMPLATE
    return wrapped
