"""Answers are read by literals alone, and the processes that run calls have limits."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funreason_train.calls import Call, CallSyntaxError, parse_calls, render_calls
from funreason_train.environments.sandbox.limits import cause_of_death
from funreason_train.errors import UserError
from funreason_train.evaluate.bfcl import versions
from funreason_train.evaluate.bfcl.categories import CATEGORIES, GROUPS, choose_categories
from funreason_train.evaluate.bfcl.decode import pack, read_answer, unpack


@pytest.mark.parametrize(
    "text",
    [
        '[f(a=1), g.h(b="x")]',
        'f(a=1), g.h(b="x")',
        '```\n[f(a=1), g.h(b="x")]\n```',
        '<tool_call>\n[f(a=1), g.h(b="x")]\n</tool_call>',
        '  f(a=1), g.h(b="x")]',
    ],
)
def test_calls_are_read_with_or_without_brackets_fences_and_tags(text: str) -> None:
    assert read_answer(text).calls == (Call("f", {"a": 1}), Call("g.h", {"b": "x"}))


@pytest.mark.parametrize(
    "text", ["I can't (yet) do that.", "f", "['a']", "[1, f(a=1)]", "{'answer': 'x'}", "f(", "😀"]
)
def test_text_is_text(text: str) -> None:
    assert read_answer(text).is_text


@pytest.mark.parametrize("text", ["", " \n", "[]", "``````"])
def test_nothing_is_an_empty_call_list(text: str) -> None:
    assert read_answer(text).empty
    assert pack(read_answer(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "[f('x')]",
        "[f(a=b)]",
        "[f(a=1 + 1)]",
        "[f(a=9**9**9)]",
        "[f(a=g(x=1))]",
        "[f(a=().__class__)]",
        "[f(**{'a': 1})]",
        "[f(a=f'{x}')]",
        "[f(a=b'x')]",
        "[f(a=lambda: 0)]",
        "[f(a=[x for x in y])]",
        "[__import__('os').system('id')]",
        "f(a=1)(b=2)",
    ],
)
def test_call_syntax_beyond_literals_is_refused_as_a_whole(text: str) -> None:
    answer = read_answer(f"[g(x=1), {text.strip('[]')}]")
    assert answer.calls is None
    assert answer.refused
    (packed,) = pack(answer)
    assert unpack(packed).refused == answer.refused


def test_a_long_answer_is_refused_without_being_read() -> None:
    assert read_answer("x" * 1_000_000).refused == "too_long"
    assert read_answer("[f(a='" + "x" * 1_000_000 + "')]").refused == "too_long"


@given(st.text(alphabet="[](){}=,.'\"\\ \nabf19-+*`:#" + "é😀", max_size=60))
def test_reading_never_raises_and_agrees_with_the_call_language(text: str) -> None:
    answer = read_answer(text)
    assert (answer.calls is not None) + bool(answer.refused) + answer.empty + answer.is_text == 1
    try:
        expected = tuple(parse_calls(text))
    except CallSyntaxError:
        return
    assert answer.calls == expected


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), _VALUES, max_size=4))
def test_what_is_packed_is_unpacked(arguments: Any) -> None:
    (packed,) = pack(read_answer(render_calls([Call("do.it", arguments)])))
    executable = unpack(packed)
    assert (executable.name, executable.args, executable.kwargs) == ("do.it", (), arguments)


def test_a_ground_truth_is_read_by_literals() -> None:
    executable = unpack("sort('final_report.pdf', 3, reverse=True)")
    assert (executable.name, executable.args, executable.kwargs) == (
        "sort",
        ("final_report.pdf", 3),
        {"reverse": True},
    )
    with pytest.raises(ValueError):
        unpack("cd(folder=__import__('os').getcwd())")


def locked(code: Any, network: bool = False) -> Any:
    program = (
        "import os, socket, subprocess, sys\n"
        "from funreason_train.environments.sandbox import limits as sandbox\n"
        f"how = sandbox.lock({network})\n" + code
    )
    root = str(Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )


def test_a_locked_process_has_no_network() -> None:
    done = locked(
        "try:\n    socket.socket()\nexcept PermissionError as error:\n    print('refused', error)\n"
        "try:\n    socket.getaddrinfo('localhost', 80)\nexcept PermissionError:\n    print('unresolved')\n"
    )
    assert "refused" in done.stdout
    assert "unresolved" in done.stdout


def test_a_locked_process_starts_no_program_and_opens_no_socket_below_python(tmp_path: Path) -> None:
    done = locked(
        "import _socket\n"
        "print(how)\n"
        "if how == 'seccomp':\n"
        "    for act in (lambda: _socket.socket(), lambda: os.execv('/bin/true', ['true'])):\n"
        "        try:\n            act()\n        except PermissionError:\n            print('refused')\n"
    )
    how, *refused = done.stdout.split()
    if how != "seccomp":
        pytest.skip("the kernel offers no seccomp filters here")
    assert refused == ["refused", "refused"]


def test_memory_beyond_the_limit_is_refused() -> None:
    done = locked(
        "sandbox.limit_memory(64)\n"
        "small = bytearray(16 << 20)\n"
        "try:\n    bytearray(256 << 20)\nexcept MemoryError:\n    print('refused')\n"
    )
    assert done.stdout.strip() == "refused", done.stderr


def test_a_computation_in_c_is_ended_by_the_clock() -> None:
    done = locked("sandbox.Watchdog(0.3, 60).arm()\n10 ** 100_000_000\nprint('survived')\n")
    assert done.stdout == ""
    assert cause_of_death(-done.returncode).startswith("time_limit")


def test_waiting_is_ended_by_the_clock() -> None:
    done = locked("import time\nsandbox.Watchdog(60, 0.2).arm()\ntime.sleep(60)\n")
    assert cause_of_death(-done.returncode).startswith("time_limit")


def test_categories_are_chosen_by_name_and_group_in_the_order_of_tables() -> None:
    assert choose_categories(["memory", "multiple", "memory_kv"]) == (
        "multiple",
        "memory_kv",
        "memory_vector",
        "memory_rec_sum",
    )
    assert choose_categories(["all"]) == CATEGORIES
    assert set(GROUPS["offline"]) == set(CATEGORIES) - {
        "memory_vector",
        "web_search_base",
        "web_search_no_snippet",
    }
    with pytest.raises(UserError, match="multi_tern"):
        choose_categories(["multi_tern"])


def test_the_main_environment_holds_the_current_version() -> None:
    assert versions.python_of(versions.VERSIONS[0]) == sys.executable
    with pytest.raises(UserError, match=r"there is no bfcl-eval 1\.0"):
        versions.python_of("1.0")


def test_another_versions_environment_is_made_by_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bfcl_env.sh"
    script.write_text('echo "installing" >&2; echo "$2/bin/python"; test "$1" = 2025.8.25')
    monkeypatch.setattr(versions, "_SCRIPT", script)
    monkeypatch.setenv(versions.FOLDER, str(tmp_path / "envs"))
    assert versions.python_of("2025.8.25") == str(tmp_path / "envs" / "bfcl-2025.8.25" / "bin" / "python")
    script.write_text("exit 2")
    with pytest.raises(UserError, match="could not be made"):
        versions.python_of("2025.8.25")


def test_the_script_leaves_a_finished_environment_alone(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    lock = (root / "requirements" / "bfcl-2025.8.25.lock").read_bytes()
    import hashlib

    folder = tmp_path / "env"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / ".stamp").write_text(f"bfcl-2025.8.25 {hashlib.sha256(lock).hexdigest()}\n")
    command = ["bash", str(root / "launch" / "bfcl_env.sh"), "2025.8.25", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{folder}/bin/python\n"
    done = subprocess.run([*command[:2], "1.0", str(folder)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "bfcl-1.0.lock is missing" in done.stderr


def test_the_lock_of_the_older_version_can_be_trusted() -> None:
    import importlib.util

    root = Path(__file__).parents[3]
    spec = importlib.util.spec_from_file_location("requirements_check", root / "requirements/check.py")
    assert spec is not None and spec.loader is not None
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    pinned, problems = check.read_lock((root / "requirements" / "bfcl-2025.8.25.lock").read_text())
    assert problems == []
    assert pinned["bfcl-eval"] == "2025.8.25"
    assert "torch" not in pinned
