"""The options of a command, which begin with a dash: Hydra's own where they make sense here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import UserError
from ...settings.names import unknown

_MULTIRUN = (
    "Run the command once for each value, each with a run directory of its own: "
    "for seed in 0 1 2; do funreason-train … seed=$seed run_dir=runs/seed$seed; done"
)
_KNOWN = ("--help", "--json", "--cfg", "--resolve", "--config-dir")


@dataclass
class Options:
    """What the options ask for.

    Attributes:
        help: Explain the command instead of running it.
        print_config: Print the settings that would be used instead (`--cfg job`).
        resolve: With `${…}` filled in.
    """

    help: bool = False
    print_config: bool = False
    resolve: bool = False


def read_options(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Takes the options out of the words after a command; what is left are settings.

    `--config-dir DIR` becomes `hydra.searchpath=[DIR]`.

    Raises:
        UserError: an option that does not exist, or several runs at once.
    """
    options, settings = Options(), []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            settings.append(word)
        elif name in ("-h", "--help"):
            options.help = True
        elif word == "--json":  # of the commands that have the key
            settings.append("format=json")
        elif name == "--resolve":
            options.resolve = True
        elif name in ("-m", "--multirun"):
            raise UserError("several runs at once are not supported", where=word, fix=_MULTIRUN)
        elif name in ("-c", "--cfg", "--config-dir", "-cd"):
            if not equals:
                value = waiting.pop(0) if waiting else ""
            if name in ("--config-dir", "-cd"):
                if not value:
                    raise UserError("a folder is needed", where=name, fix="Write --config-dir DIR")
                settings.append(f"hydra.searchpath=[{value}]")
            elif value != "job":
                raise UserError(
                    f"'{value}' cannot be printed", where=name, fix="--cfg job prints the settings"
                )
            else:
                options.print_config = True
        else:
            follows = next((one for one in waiting[:1] if one[:1] != "-" and "=" not in one), "true")
            meant = f"{name.lstrip('-').replace('-', '_')}={value if equals else follows}"
            raise UserError(
                unknown("option", name, _KNOWN), fix=f"Settings are written without dashes: {meant}"
            )
    return options, settings
