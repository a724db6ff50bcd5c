"""A player that knows nothing but documents and answers: it draws arguments from what it has seen."""

import random
from collections import defaultdict
from typing import Any

from funreason_train.calls import Call
from funreason_train.environments import Environment

ENDINGS = ("cancel_", "close_", "sign_out", "badge_out", "disconnect_", "stop_", "delete_")
DAYS, TIMES = ("2026-03-02", "2026-03-04", "2026-03-06"), ("08:30", "13:00", "17:15")


class Driver:
    """Plays random calls.

    Args:
        environment: Where.
        config: Its configuration: what a user could talk of.
        rng: What decides.

    Attributes:
        seen: Key -> values: of the configuration's records (an id is a value of its table's singular), and of
            all answers.
    """

    def __init__(self, environment: Environment, config: dict[str, Any], rng: random.Random) -> None:
        self.environment, self.rng = environment, rng
        self.seen: dict[str, list[Any]] = defaultdict(list)
        self.texts: list[str] = []
        for table, records in config.items():
            if table != "fresh":
                for key in records:
                    self.note(singular(table), key)
                self.learn(records)
        environment.reset(config)

    def learn(self, value: Any, key: str = "") -> None:
        """Remembers every scalar of a JSON value under the key at which it stands."""
        if isinstance(value, dict):
            for name, item in value.items():
                self.learn(item, name)
        elif isinstance(value, list):
            for item in value:
                self.learn(item, singular(key))
        elif key and value is not None and not isinstance(value, bool):
            self.note(key, value)

    def note(self, key: str, value: Any) -> None:
        """Remembers one value, the newest last."""
        self.seen[key].append(value)
        if isinstance(value, str):
            self.texts.append(value)

    def play(self, name: str | None = None) -> tuple[Call, Any]:
        """Makes a call of a tool, a random one if None, and learns from the answer."""
        tools = {tool["name"]: tool for tool in self.environment.tools()}
        chosen = name or self.rng.choice(list(tools))
        if name is None and chosen.startswith(ENDINGS) and self.rng.random() < 0.8:
            chosen = self.rng.choice(list(tools))
        schema = tools[chosen]["parameters"]
        call = Call(chosen, self.value("", schema))
        result = self.environment.call(call)
        if result.ok:
            self.learn(result.value)
        return call, result

    def value(self, key: str, schema: dict[str, Any]) -> Any:
        """A value of a schema's type, one that was seen under its name if there is one."""
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        kinds = schema.get("type", "string")
        kind = self.rng.choice(kinds) if isinstance(kinds, list) else kinds
        if kind == "object":
            required, properties = schema.get("required", []), schema.get("properties", {})
            chosen = [n for n in properties if n in required or self.rng.random() < 0.5]
            return {name: self.value(name, properties[name]) for name in chosen}
        if kind == "array":
            length = self.rng.choice((1, 2, 3, 3))
            return [self.value(singular(key), schema.get("items", {})) for _ in range(length)]
        if kind in ("null", "boolean"):
            return None if kind == "null" else self.rng.random() < 0.5
        if kind in ("integer", "number"):
            return self.number(key, schema, kind)
        return self.text(key)

    def number(self, key: str, schema: dict[str, Any], kind: str) -> float:
        """A number within its bounds."""
        least = schema.get("minimum", 1)
        most = schema.get("maximum", least + 10 ** self.rng.uniform(0, 4))
        known = [one for one in self.seen[key] if isinstance(one, (int, float)) and least <= one <= most]
        known = [one for one in known if kind == "number" or isinstance(one, int)]
        if known and self.rng.random() < 0.5:
            return self.rng.choice(known)
        if kind == "number":
            return round(self.rng.uniform(least, min(most, least + 10_000)), 2)
        return self.rng.randint(int(least), int(most))

    def text(self, key: str) -> str:
        """A text that was seen under the key, the newest ones rather, or any."""
        if key in ("day", "today"):
            return self.rng.choice(DAYS)
        if key in ("at", "start"):
            return self.rng.choice(TIMES)
        aliases = {"source": "account", "target": "account", "guest": "person"}
        known = [one for one in self.seen[aliases.get(key, key)] if isinstance(one, str)]
        if known and self.rng.random() < 0.9:
            return self.rng.choice(known[-6:] if self.rng.random() < 0.6 else known)
        return self.rng.choice([*self.texts, f"word {self.rng.randrange(1000)}"])


def singular(name: str) -> str:
    """accounts -> account, branches -> branch, devices -> device."""
    for ending, instead in (("sses", "ss"), ("ches", "ch"), ("ies", "y"), ("s", "")):
        if name.endswith(ending):
            name = name[: -len(ending)] + instead
            break
    return {"people": "person", "unlock": "unlock_code", "listener": "listener"}.get(name, name)
