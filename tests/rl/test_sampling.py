"""A sample's seed depends on what it is, not on when it is made; a resume keeps the order of the prompts."""

from collections.abc import Iterator
from typing import Any

from funreason_train.rl.rollout.sampling import prompt_name, sample_order, sample_seed


def row(step: int = 3, place: int = 2, sample: int = 1, index: int = 7, uid: Any = None) -> dict[str, Any]:
    return {
        "global_steps": step,
        "uid": uid or prompt_name(step, place),
        "session_id": sample,
        "index": index,
    }


def test_every_completion_has_a_seed_of_its_own() -> None:
    seeds = [
        sample_seed(seed, row(step, place, sample), turn)
        for seed in (0, 1)
        for step in (1, 2)
        for place in range(8)
        for sample in range(4)
        for turn in (0, 1)
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_seed_is_the_same_in_every_process() -> None:
    assert sample_seed(0, row()) == 7798974857009374171


def test_validation_prompts_have_random_names_that_decide_nothing() -> None:
    first, second = row(uid="0b6b2c1e-0000-4000-8000-000000000001"), row(uid="ffff")
    assert sample_seed(0, first) == sample_seed(0, second)
    assert sample_seed(0, first) != sample_seed(0, row(uid="ffff", index=8))


def test_names_and_keys_sort_as_they_were_drawn() -> None:
    names = [prompt_name(step, place) for step in (1, 2, 10) for place in (0, 9, 10)]
    assert sorted(names) == names
    assert not any("_" in name for name in names), "verl splits keys there"
    keys = [f"{name}_{sample}_0" for name in names for sample in (0, 2, 10)]
    assert sorted(set(keys), key=sample_order) == keys


def test_the_data_go_on_where_a_checkpoint_left_them_at_any_step() -> None:
    """verl's loader and sampler, with the seed that this project sets; every third step ends an epoch."""
    from omegaconf import OmegaConf
    from torchdata.stateful_dataloader import StatefulDataLoader
    from verl.trainer.ppo.utils import create_rl_sampler

    def batches(state: Any = None) -> Iterator[Any]:
        sampler = create_rl_sampler(OmegaConf.create({"shuffle": True, "seed": 7}), range(12))
        loader = StatefulDataLoader(
            range(12), batch_size=4, num_workers=0, drop_last=True, collate_fn=list, sampler=sampler
        )
        if state is not None:
            loader.load_state_dict(state)
        while True:
            for batch in loader:
                yield batch, loader.state_dict()

    whole = [batch for batch, _ in zip(batches(), range(9), strict=False)]
    for step, (_, state) in enumerate(whole, 1):
        resumed = [batch for (batch, _), _ in zip(batches(state), range(9 - step), strict=False)]
        assert resumed == [batch for batch, _ in whole[step:]]
