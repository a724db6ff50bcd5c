"""The sizes of a model that decide memory and time; a table of known ones, and `families` reads others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A decoder whose layers are all alike.

    Attributes:
        layers: Transformer blocks.
        hidden: Width of the residual stream.
        intermediate: Width of an MLP, or of one expert's.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        head_dim: Width of a head.
        vocab: Words.
        tied: One matrix for the input and the output embeddings.
        qk_norm: Queries and keys are normalised (Qwen3), which keeps one more copy of each.
        experts: Of a layer; 0 for a dense model.
        active: Experts that a token passes through.
        gated: An MLP has a gate, three matrices in place of two.
        extra: Parameters beside blocks and embeddings, such as learned positions.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    qk_norm: bool = False
    experts: int = 0
    active: int = 0
    gated: bool = True
    extra: int = 0

    @property
    def queries(self) -> int:
        """Width of all queries together."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all keys together; that of the values as well."""
        return self.kv_heads * self.head_dim

    @property
    def embedding(self) -> int:
        """Parameters of one embedding matrix, the largest single tensor."""
        return self.vocab * self.hidden

    @property
    def _attention(self) -> int:
        return self.hidden * (2 * self.queries + 2 * self.keys)

    @property
    def products(self) -> int:
        """Matrices of an MLP; a block saves as many numbers of its width."""
        return 3 if self.gated else 2

    @property
    def _mlp(self) -> int:
        return self.products * self.hidden * self.intermediate

    @property
    def layer(self) -> int:
        """Parameters of one block; norms and biases (less than a thousandth) are left out."""
        router = self.hidden * self.experts
        return self._attention + self._mlp * max(1, self.experts) + router

    @property
    def active_layer(self) -> int:
        """Parameters of a block that one token is multiplied with."""
        return self._attention + self._mlp * max(1, self.active) + self.hidden * self.experts

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layers * self.layer + self.embedding * (1 if self.tied else 2) + self.extra

    @property
    def linear_layers(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of the linear layers of a dense block, which LoRA stands beside."""
        h, q, k, i = self.hidden, self.queries, self.keys, self.intermediate
        return (h, q), (h, k), (h, k), (q, h), *((h, i),) * (self.products - 1), (i, h)

    def lora_parameters(self, rank: int) -> int:
        """Parameters of LoRA's matrices on every linear layer (arXiv 2106.09685): rank x (in + out)."""
        return self.layers * sum(rank * (into + out) for into, out in self.linear_layers)

    @property
    def kv_bytes(self) -> int:
        """Bytes of the KV cache of one token in 16 bits: keys and values of every layer."""
        return self.layers * 2 * self.keys * 2


#: Models that are planned for before they are downloaded: the sizes of their config.json on the hub.
KNOWN: Mapping[str, Shape] = {
    "smollm2-135m-instruct": Shape(30, 576, 1536, 9, 3, 64, 49152, True),
    "qwen3-0.6b": Shape(28, 1024, 3072, 16, 8, 128, 151936, True, True),
    "qwen3-1.7b": Shape(28, 2048, 6144, 16, 8, 128, 151936, True, True),
    "qwen3-4b": Shape(36, 2560, 9728, 32, 8, 128, 151936, True, True),
    "qwen3-4b-base": Shape(36, 2560, 9728, 32, 8, 128, 151936, True, True),
    "qwen3-4b-instruct-2507": Shape(36, 2560, 9728, 32, 8, 128, 151936, True, True),
    "qwen3-4b-thinking-2507": Shape(36, 2560, 9728, 32, 8, 128, 151936, True, True),
    "qwen3-8b": Shape(36, 4096, 12288, 32, 8, 128, 151936, False, True),
    "qwen3-14b": Shape(40, 5120, 17408, 40, 8, 128, 151936, False, True),
    "qwen3-32b": Shape(64, 5120, 25600, 64, 8, 128, 151936, False, True),
    "qwen3-30b-a3b": Shape(48, 2048, 768, 32, 4, 128, 151936, False, True, 128, 8),
    "qwen2.5-0.5b": Shape(24, 896, 4864, 14, 2, 64, 151936, True),
    "qwen2.5-1.5b": Shape(28, 1536, 8960, 12, 2, 128, 151936, True),
    "qwen2.5-3b": Shape(36, 2048, 11008, 16, 2, 128, 151936, True),
    "qwen2.5-7b": Shape(28, 3584, 18944, 28, 4, 128, 152064, False),
    "qwen2.5-math-7b": Shape(28, 3584, 18944, 28, 4, 128, 152064, False),
    "qwen2.5-14b": Shape(48, 5120, 13824, 40, 8, 128, 152064, False),
    "qwen2.5-32b": Shape(64, 5120, 27648, 40, 8, 128, 152064, False),
    "llama-3.2-1b": Shape(16, 2048, 8192, 32, 8, 64, 128256, True),
    "llama-3.2-3b": Shape(28, 3072, 8192, 24, 8, 128, 128256, True),
    "llama-3.1-8b": Shape(32, 4096, 14336, 32, 8, 128, 128256, False),
    "granite-3.3-8b": Shape(40, 4096, 12800, 32, 8, 128, 49159, True),
}


def known(name: str) -> Shape | None:
    """The shape of a model by its name or hub id (`Qwen/Qwen3-4B-Instruct-2507`); None if it is not known."""
    short = name.rsplit("/", 1)[-1].lower()
    return KNOWN.get(short) or KNOWN.get(short.removesuffix("-instruct"))
