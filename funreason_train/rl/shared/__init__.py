"""No token of a batch computed twice: what `rl.share_prompts` does, on any device.

GRPO trains on n answers to each prompt, so n-1 of n passes over a prompt are the same work again; the
responses of an episode repeat its history as well. Here the samples of a pass are laid over one another as a
tree (`models.attention.tree`), as SFT's trees are, and each token is computed once, with the log-probability
that it has in a row of its own. verl 0.9.1 takes `actor.use_prefix_grouper` for the same and ignores it: its
trainer never calls verl/trainer/ppo/prefix_grouper_utils.py (verl#7202).

- `balance`: which samples each worker gets, those of a prompt together (in the trainer)
- `layout`: which samples a pass holds, and how they lie in its line
- `engine`: verl's FSDP engine on such lines; loss, optimiser, sharding and checkpoints stay verl's own
"""
