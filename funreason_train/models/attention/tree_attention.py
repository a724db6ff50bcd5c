"""Attention in which each token sees only its own ancestors: rows with a common beginning in one line.

A line of T tokens lays trees of rows out in preorder: all tokens below a token follow it in one piece. One
number a token then says everything: `ends[j]`, where the tokens below token j end. Token i sees token j if
j <= i < ends[j]. A row alone, rows packed side by side, the answers to one prompt and the steps of a
conversation are all of this form.

To a model, `ends` is its attention mask, (1, 1, 1, T) of int64: transformers hands a mask of four dimensions
to every layer as it is, and the two attentions registered here read it.

- `tree` computes each path of the tree by itself with torch's dense attention: on CPU, or anywhere.
- `tree_blocks` gives FlexAttention a block mask, made once a pass: on a GPU.

Imports torch and transformers inside the functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

#: The names in transformers' `attn_implementation`.
TREE = "tree"
TREE_BLOCKS = "tree_blocks"
_BLOCK = 128  # tokens; FlexAttention's own block


def visible(ends: Tensor) -> Tensor:
    """Which token sees which.

    Args:
        ends: (T,), for each token the place behind the last token below it.

    Returns:
        (T, T) of bool: whether the row's token sees the column's.
    """
    import torch

    place = torch.arange(len(ends), device=ends.device)
    return (place[None] <= place[:, None]) & (place[:, None] < ends[None])


class Paths(NamedTuple):
    """A line cut into pieces whose tokens follow one another, each with what it sees before itself.

    Attributes:
        index: (K,) places of the keys of all pieces, one piece after the other: its ancestors, then itself.
        queries: Tokens of each piece.
        keys: Keys of each piece.
        depths: (T,) how many tokens each token sees before itself.
    """

    index: Tensor
    queries: list[int]
    keys: list[int]
    depths: Tensor


def paths(ends: Tensor) -> Paths:
    """Cuts a line into paths.

    Args:
        ends: See `visible`.
    """
    import torch

    place = torch.arange(len(ends), device=ends.device)
    begins = torch.ones_like(place, dtype=torch.bool)
    begins[1:] = ends[:-1] <= place[1:]
    starts = begins.nonzero().squeeze(1).tolist()
    index, queries, keys, depths = [], [], [], []
    for start, stop in zip(starts, [*starts[1:], len(ends)], strict=True):
        above = (ends[:start] > start).nonzero().squeeze(1)
        index += [above, place[start:stop]]
        queries.append(stop - start)
        keys.append(len(above) + stop - start)
        depths.append(place[: stop - start] + len(above))
    return Paths(torch.cat(index), queries, keys, torch.cat(depths))


def tree_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attention along the paths of a tree, each computed by itself.

    Args:
        module: The attention layer.
        query: (1, heads, T, size).
        key: (1, key heads, T, size); heads are a multiple of key heads.
        value: As the key.
        attention_mask: `ends`, see the module.
        dropout: Has to be 0.
        scaling: Of the scores; None: size ** -0.5.
        sliding_window: How many tokens a token sees, itself included; None: all its ancestors.
        **more: Whatever else transformers passes; soft-capped scores and sinks are refused.

    Returns:
        (1, T, heads, size), and None for the weights.

    Raises:
        ValueError: for what it does not do: another mask, dropout, keys from a cache.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    ends = _ends(query, key, attention_mask, dropout, more)
    cut, masks = _cut(ends, sliding_window)
    grouped = query.shape[1] != key.shape[1]
    pieces = zip(
        query.split(cut.queries, dim=2),
        # Gathered at once: a slice for each path would fill a whole gradient for each path.
        key.index_select(2, cut.index).split(cut.keys, dim=2),
        value.index_select(2, cut.index).split(cut.keys, dim=2),
        masks,
        strict=True,
    )
    found = [
        scaled_dot_product_attention(
            *one, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=grouped
        )
        for *one, mask in pieces
    ]
    return torch.cat(found, dim=2).transpose(1, 2), None


def tree_blocks_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """The same as `tree_attention` by FlexAttention: one kernel that skips blocks nobody sees."""
    ends = _ends(query, key, attention_mask, dropout, more)
    found = _flex(query.is_cuda)(
        query,
        key,
        value,
        block_mask=block_mask(ends, sliding_window),
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return found.transpose(1, 2).contiguous(), None


def _ends(query: Tensor, key: Tensor, mask: Tensor | None, dropout: float, more: dict[str, Any]) -> Tensor:
    if more.get("softcap") is not None or more.get("s_aux") is not None:
        raise ValueError("tree attention has neither soft-capped scores nor sinks; set sft.tree=false")
    length = query.shape[2]
    whole = mask is not None and mask.shape == (1, 1, 1, length) and not mask.is_floating_point()
    if mask is None or not whole or dropout or len(query) != 1 or key.shape[2] != length:
        raise ValueError("tree attention takes one line, the ends of its tokens, no dropout and no cache")
    return mask.view(length)


_LAST: dict[str, dict[str, Any]] = {}  # what the last pass worked out, for its other layers


def _remembered(kind: str, ends: Tensor, window: int | None, make: Any) -> Any:
    """`make()`, once for all layers of a pass that have the same window."""
    # The tensor itself is kept, so that its storage cannot become another one's with the same address.
    mark = (ends.data_ptr(), ends._version, ends.shape, ends.device)
    if _LAST.get(kind, {}).get("mark") != mark:
        _LAST[kind] = {"mark": mark, "kept": ends, "found": {}}
    found = _LAST[kind]["found"]
    if window not in found:
        found[window] = make()
    return found[window]


def _cut(ends: Tensor, window: int | None) -> tuple[Paths, list[Tensor | None]]:
    cut: Paths = _remembered("paths", ends, None, lambda: paths(ends))
    masks = _remembered(
        "masks",
        ends,
        window,
        lambda: [
            _mask(queries, keys, window, ends) for queries, keys in zip(cut.queries, cut.keys, strict=True)
        ],
    )
    return cut, masks


def _mask(queries: int, keys: int, window: int | None, like: Tensor) -> Tensor | None:
    """Which of its keys each token of a path sees; None if that is all up to itself, from the first on."""
    import torch

    if queries == keys and (window is None or window >= keys):
        return None
    column = torch.arange(keys, device=like.device)
    row = column[keys - queries :, None]
    seen = column <= row
    return seen if window is None else seen & (column > row - window)


def block_mask(ends: Tensor, window: int | None = None) -> Any:
    """FlexAttention's block mask of a line, the same object for all layers of a pass.

    Args:
        ends: See `visible`.
        window: As `sliding_window`.
    """

    def make() -> Any:
        import torch
        from torch.nn.attention.flex_attention import BlockMask

        depths = None if window is None else paths(ends).depths

        def seen(batch: Any, head: Any, row: Any, column: Any) -> Any:
            found = (column <= row) & (row < ends[column])
            if depths is not None:
                found = found & (depths[row] - depths[column] < window)
            return found

        blocks: list[Tensor] = []
        for tiles in _tiles(ends, whole=window is None):
            blocks.append(tiles.sum(-1, dtype=torch.int32))
            blocks.append(tiles.int().argsort(dim=-1, descending=True, stable=True).int())
        return BlockMask.from_kv_blocks(
            *(one[None, None] for one in blocks),
            BLOCK_SIZE=_BLOCK,
            mask_mod=seen,
            seq_lengths=(len(ends), len(ends)),
        )

    return _remembered("blocks", ends, window, make)


def _tiles(ends: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    """Which tiles of the mask have something to see: (blocks, blocks) of those in part, and of those wholly.

    Worked out from the blocks' own limits, so that a mask of all tokens is never made.
    """
    import torch

    count = -(-len(ends) // _BLOCK)
    padded = torch.nn.functional.pad(ends, (0, count * _BLOCK - len(ends))).view(count, _BLOCK)
    start = torch.arange(count, device=ends.device) * _BLOCK
    before = start[:, None] > start[None]
    some = (before & (padded.amax(1)[None] > start[:, None])) | (start[:, None] == start[None])
    full = before & (padded.amin(1)[None] >= start[:, None] + _BLOCK)
    full &= (start + _BLOCK <= len(ends))[:, None] & whole
    return some & ~full, full


_COMPILED: list[Any] = []


def _flex(compiled: bool) -> Any:
    """FlexAttention, compiled on a GPU; as plain arithmetic elsewhere, where it has no backward pass."""
    import torch
    from torch.nn.attention.flex_attention import flex_attention

    if not compiled:
        return flex_attention
    if not _COMPILED:
        _COMPILED.append(torch.compile(flex_attention, dynamic=True))
    return _COMPILED[0]


def choose(wanted: str, device: str) -> str:
    """The attention of a model trained on trees, by transformers' name.

    Args:
        wanted: `auto` or `sdpa`.
        device: `cpu` or `cuda`, where training runs.
    """
    return TREE_BLOCKS if wanted == "auto" and device == "cuda" else TREE


def register() -> None:
    """Makes both attentions known to transformers, in this process."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(TREE, tree_attention)
    ALL_ATTENTION_FUNCTIONS.register(TREE_BLOCKS, tree_blocks_attention)
