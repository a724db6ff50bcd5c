"""What a rehearsal will do: its folder, the recipe and the profile that it runs, and its steps."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...run.files import write_text
from ...run.paths import RunDir
from ...settings.compose import gather
from ...settings.load import load_settings
from ...settings.words import Word
from . import scale

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Where the launch scripts are.
REPOSITORY = Path(__file__).resolve().parents[3]
#: Stages that run on all nodes; the others need one.
_ON_ALL = ("sft", "rl")
_LEAST, _MOST = 2, 8  # hosts


@dataclass(frozen=True)
class Place:
    """The folder of a rehearsal, beside the run directory: `RUN_DIR.rehearsal`."""

    root: Path

    @classmethod
    def of(cls, run: RunDir) -> Place:
        """The place that belongs to a run directory."""
        return cls(run.root.with_name(f"{run.root.name}.rehearsal"))

    @property
    def recipe(self) -> Path:
        """The scaled recipe: a whole configuration."""
        return self.root / "recipe.yaml"

    @property
    def hosts(self) -> Path:
        """The profile of the played machines."""
        return self.root / "hosts.yaml"

    @property
    def model(self) -> Path:
        """A small copy of the recipe's model, if that is here."""
        return self.root / "model"

    @property
    def reward(self) -> Path:
        """What scores the rollouts (`scale.REWARD`)."""
        return self.root / "reward.py"

    @property
    def run(self) -> RunDir:
        """The rehearsal's own run directory."""
        return RunDir(self.root / "run")

    @property
    def report(self) -> Path:
        """What was rehearsed, how long it took, and what was not."""
        return self.root / "rehearsal.md"

    @property
    def record(self) -> Path:
        """The same for programs; also the mark that the folder is a rehearsal's."""
        return self.root / "rehearsal.json"

    def log(self, stage: str, rank: int) -> Path:
        """What a host printed during a stage."""
        return self.root / "logs" / f"{stage}.host{rank}.log"


@dataclass(frozen=True)
class Step:
    """One stage.

    Attributes:
        stage: Its name.
        hosts: How many hosts run the script.
        command: What each of them runs.
    """

    stage: str
    hosts: int
    command: tuple[str, ...]

    def line(self) -> str:
        """As a user would type it on host 0."""
        ranks = (
            f"NNODES={self.hosts} NODE_RANK=0..{self.hosts - 1} HEAD_ADDR=host0 " if self.hosts > 1 else ""
        )
        return ranks + shlex.join([_short(word) for word in self.command])


@dataclass(frozen=True)
class Rehearsal:
    """A recipe's rehearsal.

    Attributes:
        place: Its folder.
        recipe: The recipe's whole configuration, resolved, on its own machines.
        changes: What is laid over it, dotted key to value.
        config: The rehearsal's configuration as `pipeline` has it, resolved.
        texts: File to its text: the scaled recipe and the profile.
        steps: In their order.
    """

    place: Place
    recipe: Mapping[str, Any]
    changes: Mapping[str, Any]
    config: DictConfig
    texts: Mapping[Path, str]
    steps: tuple[Step, ...]

    @property
    def hosts(self) -> int:
        """How many machines are played."""
        return int(self.config.cluster.nodes)


def plan(
    config: DictConfig, run: RunDir, words: Sequence[str], temp_dir: str, model: str | None = None
) -> Rehearsal:
    """The rehearsal of what a command line asks for; writes its recipe, profile and reward.

    Args:
        config: Of the command, resolved.
        run: Its run directory.
        words: The command line's.
        temp_dir: Ray's folder for stages that need one machine.
        model: A small model of the recipe's own architecture; None: the tiny one of the run.

    Raises:
        UserError: if the launch scripts are not there, or hosts do not fit the recipe.
    """
    import yaml
    from omegaconf import OmegaConf

    if not (REPOSITORY / "launch" / "stage.sh").is_file():
        raise UserError(
            "a rehearsal runs the launch scripts, and an installed package has none",
            where="rehearse=true",
            fix="Run it from a clone of the repository",
        )
    recipe: Any = OmegaConf.to_container(config, resolve=True)
    place, hosts = Place.of(run), _hosts(recipe)
    local = _local(recipe)
    changes = {
        **scale.scaled(recipe, hosts, local, model),
        "run_dir": str(place.run.root),
        "pipeline.rehearse": False,
        "dry_run": False,
    }
    if scale.tosses_coins(recipe):
        changes["rl.reward_function"] = f"{place.reward}:score"
        write_text(place.reward, scale.REWARD.format(options=recipe["rl"]["reward"]))
    profile = yaml.safe_dump(scale.host_profile(recipe, hosts, temp_dir), sort_keys=False)
    write_text(place.hosts, profile)
    kept = [word for word in words if Word.read(word).key != "cluster"]
    tree = gather("pipeline", [*kept, f"cluster={place.hosts}"]).config
    for key, value in changes.items():
        OmegaConf.update(tree, key, value, merge=False, force_add=True)
    text = "# @package _global_\n# The recipe as it is rehearsed: the whole configuration.\n"
    text += OmegaConf.to_yaml(tree)
    write_text(place.recipe, text)
    chosen = [f"+recipe={place.recipe}", f"cluster={place.hosts}"]
    small = load_settings("pipeline", chosen)
    steps = tuple(
        Step(
            stage,
            hosts if stage in _ON_ALL else 1,
            ("bash", *_script(stage, str(recipe["cluster"]["name"])), *chosen),
        )
        for stage in small.pipeline.stages
    )
    return Rehearsal(place, recipe, changes, small, {place.recipe: text, place.hosts: profile}, steps)


def _hosts(recipe: Mapping[str, Any]) -> int:
    asked = recipe["pipeline"]["rehearsal"]["hosts"]
    return int(asked or min(max(recipe["cluster"]["nodes"], _LEAST), _MOST))


def _script(stage: str, profile: str) -> list[str]:
    """The launch script that a user of the profile starts, and what it has to be told."""
    own = REPOSITORY / "launch" / f"{stage}_{profile}.sh"
    return [str(own)] if own.is_file() else [str(REPOSITORY / "launch" / "stage.sh"), stage]


def _local(recipe: Mapping[str, Any]) -> list[str]:
    """The data sets whose rows can be had without a network: files here, or what the stage `synth` makes."""
    made = "synth" in recipe["pipeline"]["stages"]
    found = []
    for name in recipe["data"]["datasets"]:
        path = Path(str(recipe["data"][name]["path"])).expanduser()
        inside = path.is_relative_to(RunDir.at(recipe["run_dir"]).root)
        if made if inside else path.exists():
            found.append(name)
    return found


def _short(word: str) -> str:
    """The word with a path below the working directory made relative."""
    key, equals, value = word.rpartition("=")
    path = Path(value)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        value = str(path.relative_to(Path.cwd()))
    return f"{key}{equals}{value}"
