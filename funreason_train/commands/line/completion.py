"""`--shell-completion`: a script that completes commands, settings and choices with the tab key.

It holds the names itself, so completing starts no Python. zsh reads bash's scripts through bashcompinit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import UserError
from ...settings.names import unknown

SHELLS = ("bash", "zsh")

_SCRIPT = """\
# Completion of funreason-train; for every new shell: eval "$(funreason-train --shell-completion {shell})"
_funreason_train() {{
    local line="${{COMP_LINE:0:$COMP_POINT}}" word command key reply="" words
    word="${{line##*[[:space:]]}}"
    read -ra words <<< "$line"
    command="${{words[1]-}}"
    if [[ ${{#words[@]}} -lt 2 || ( ${{#words[@]}} -eq 2 && -n $word ) ]]; then
        reply="{commands} --help --version --shell-completion"
    elif [[ $word == -* ]]; then
        reply="--help --cfg --resolve --config-dir --json"
    elif [[ $word == *=* ]]; then
        key="${{word%%=*}}"
        word="${{word#*=}}"
        case "$command/$key" in
{values}
        esac
    else
        compopt -o nospace 2>/dev/null
        case "$command" in
{keys}
        esac
        reply="$reply {shared}"
    fi
    COMPREPLY=($(compgen -W "$reply" -- "$word"))
    if [[ -n $key && ${{#COMPREPLY[@]}} -eq 0 ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
    fi
    # A shell that takes = for a word of its own already has what stands before it.
    if [[ $line == *=* && $COMP_WORDBREAKS != *=* && -n $key ]]; then
        COMPREPLY=("${{COMPREPLY[@]/#/$key=}}")
    fi
}}
complete -F _funreason_train funreason-train
"""


def script(shells: Sequence[str], commands: Mapping[str, str]) -> str:
    """The script for one shell.

    Args:
        shells: What stands after the option: the name of the shell.
        commands: Each command with its section of the configuration.

    Raises:
        UserError: no shell is named, or one that is not supported.
    """
    from ...settings.describe import choices, sections
    from ...settings.keys import every_key
    from ...settings.places import group_choices, recipes

    if len(shells) != 1 or shells[0] not in SHELLS:
        named = unknown("shell", shells[0], SHELLS) if shells else "no shell is named"
        raise UserError(named, fix=f"Write --shell-completion {' or '.join(SHELLS)}")
    every = every_key()
    settings = {key: found for key, found in every.items() if not sections(found)}
    groups = group_choices()
    values = [_case(f"*/{group}", names) for group, names in groups.items()]
    values.append(_case("*/+recipe", recipes()))
    keys = []
    for name, section in commands.items():
        prefix = f"{section}."
        own = {key.removeprefix(prefix): found for key, found in settings.items() if key.startswith(prefix)}
        keys.append(_case(name, [f"{key}=" for key in own]))
        values += [_case(f"{name}/{key}", found) for key, one in own.items() if (found := choices(one))]
    values += [_case(f"*/{key}", found) for key, one in settings.items() if (found := choices(one))]
    shared = [f"{group}=" for group in groups] + ["+recipe=", *(f"{key}=" for key in settings)]
    text = _SCRIPT.format(
        shell=shells[0],
        commands=" ".join(commands),
        values="\n".join(values),
        keys="\n".join(keys),
        shared=" ".join(shared),
    )
    return f"autoload -U +X bashcompinit && bashcompinit\n{text}" if shells[0] == "zsh" else text


def _case(pattern: str, names: Sequence[str]) -> str:
    return f'            {pattern}) reply="{" ".join(names)}" ;;'
