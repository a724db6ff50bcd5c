"""White space round a call list: who still reads the calls.

    python benchmarks/reward/bfcl_spaces.py [--every N]

Each Python gold answer of bfcl-eval (every N-th, default 10) is given with white space before it, and after
it, to BFCL's decoder and checker, to the evaluation's decoder and to the reward's `bfcl` variant.
`bfcl_decoders.py` and `reward_bfcl_parity.py` put the table into their documents.
"""

from __future__ import annotations

import argparse
import sys
import warnings

from bfcl_reference import Reference, entries

from funreason_train.calls import CallSyntaxError, parse_calls, render_calls
from funreason_train.evaluate.bfcl.decode import read_answer
from funreason_train.reward import compute_score

SPACES = {
    "space": " ",
    "line feed": "\n",
    "carriage return": "\r",
    "carriage return, line feed": "\r\n",
    "tab": "\t",
    "form feed": "\f",
    "vertical tab": "\v",
    "next line U+0085": "\x85",
    "no-break space U+00A0": "\xa0",
    "em space U+2003": "\u2003",
    "line separator U+2028": "\u2028",
    "ideographic space U+3000": "\u3000",
    "zero-width space U+200B": "\u200b",
    "byte-order mark U+FEFF": "\ufeff",
}

ABOUT = """BFCL takes off line feeds, spaces and back-ticks only. It adds a bracket to whatever else stands
there, and its parser then refuses the whole. In the reward and in the evaluation, all that Unicode calls
white space is nothing beside a list; a zero-width space and a byte-order mark are not white space, and no
one reads them. So a model that writes a carriage return or a no-break space scores higher here than on the
leaderboard.
"""


def table(every: int = 10) -> str:
    """The table as Markdown, with what is to be said of it."""
    reference = Reference()
    golds = []
    for entry in list(entries())[::every]:
        try:
            text = render_calls([call.example() for call in entry.gold])
        except ValueError:  # an argument for which nothing is accepted
            continue
        if reference.judge(text, entry) == "right":
            golds.append((entry, text, tuple(parse_calls(text))))
    readers = ("BFCL", "evaluation", "reward")
    heads = [f"{reader}, {place}" for place in ("before", "after") for reader in readers]
    lines = [
        f"Of {len(golds)} gold answers with the white space before or after the list: how many are right to",
        "BFCL's own decoder and checker, are read alike by the evaluation, and are right to the reward.",
        "",
        f"| white space | {' | '.join(heads)} |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, space in SPACES.items():
        counts = []
        for form in ("{0}{1}", "{1}{0}"):
            texts = [(entry, form.format(space, text), calls) for entry, text, calls in golds]
            counts += [
                sum(reference.judge(text, entry) == "right" for entry, text, _ in texts),
                sum(read_answer(text).calls == calls for _, text, calls in texts),
                sum(_rewarded(text, entry.ground_truth) for entry, text, _ in texts),
            ]
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return "\n".join([*lines, "", ABOUT])


def _rewarded(answer: str, truth: str) -> bool:
    try:
        result = compute_score("bfcl", f"x</think>\n\n{answer}", truth, variant="bfcl")
    except CallSyntaxError:
        return False
    return bool(result["acc"] == 1)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--every", type=int, default=10)
    warnings.simplefilter("ignore")
    print(table(parser.parse_args().every))
    return 0


if __name__ == "__main__":
    sys.exit(main())
