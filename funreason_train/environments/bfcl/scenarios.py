"""Starting configurations for BFCL's classes, drawn at random; none of them is BFCL's own.

A class ignores what it does not know: `places` and `city` only tell whoever draws arguments which names its
functions understand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

_PEOPLE = (
    *("Amara", "Bastian", "Clea", "Dario", "Edda", "Florin", "Greta", "Hakan", "Ilse", "Jonah", "Kaya"),
    *("Levin", "Mirel", "Nadia", "Otis", "Petra", "Quirin", "Ronja", "Selma", "Tarek", "Una", "Vito"),
)
_FAMILIES = ("Abendroth", "Brandt", "Dorn", "Eberle", "Fenn", "Hollis", "Imhof", "Jansen", "Lorenz", "Nowak")
_FOLDERS = ("attic", "barn", "cellar", "dairy", "forge", "garden", "harbour", "jetty", "loft", "mill")
_STEMS = ("apples", "boats", "candles", "drums", "ferns", "hinges", "inks", "jars", "kites", "lamps", "maps")
_ENDINGS = (".txt", ".md", ".csv", ".log")
_LINES = (
    *("the gate sticks in wet weather", "two of them are on loan", "count them again in spring"),
    *("keep this away from the stove", "ask Vera before you lend any", "the lid is cracked"),
    *("the key hangs behind the door", "three more will come by boat", "half of this is for the school"),
)
_TROUBLES = (
    *("Lift stops between floors", "Badge reader beeps twice", "Kettle trips the fuse", "Tap drips"),
    *("Door of room nine jams", "Scanner eats the paper", "Heating knocks at night", "Phone is dead"),
)
_PLACES = ("Rivermist", "Stonebrook", "Maplecrest", "Silverpine", "Shadowridge", "Oakendale", "Autumnville")
_NEIGHBOURS = (  # whose distance is known
    *(("Rivermist", "Stonebrook"), ("Maplecrest", "Silverpine"), ("Shadowridge", "Sunset Valley")),
    *(("Oakendale", "Willowbend"), ("Crescent Hollow", "Autumnville"), ("San Francisco", "Rivermist")),
)
_SYMBOLS = ("AAPL", "GOOG", "TSLA", "MSFT", "NVDA", "OMEG", "ZETA", "SYNX", "NEPT")


def scenario(name: str, random: Random, size: int) -> dict[str, Any]:
    """A configuration of one class.

    Args:
        name: One of `documents.CLASSES`.
        random: Where everything that is drawn comes from.
        size: About how many records of each kind.
    """
    return _DRAWN[name](random, max(1, min(size, 10)))


def _some(random: Random, words: tuple[str, ...], count: int) -> list[str]:
    return random.sample(words, min(count, len(words)))


def _files(random: Random, size: int) -> dict[str, Any]:
    def file() -> dict[str, Any]:
        return {"type": "file", "content": "\n".join(_some(random, _LINES, random.randint(1, 3)))}

    def folder(depth: int) -> dict[str, Any]:
        contents: dict[str, Any] = {}
        for stem in _some(random, _STEMS, size if depth == 0 else random.randint(0, 2)):
            contents[stem + random.choice(_ENDINGS)] = file()
        if depth < 2:
            for name in _some(random, _FOLDERS, max(1, size // 2) if depth == 0 else random.randint(0, 1)):
                contents[name] = folder(depth + 1)
        return {"type": "directory", "contents": contents}

    return {"root": {random.choice(("desk", "office", "workshop")): folder(0)}}


def _numbers(random: Random, size: int) -> dict[str, Any]:
    return {}


def _messages(random: Random, size: int) -> dict[str, Any]:
    names = _some(random, _PEOPLE, size + 1)
    ids = [f"USR{number:03d}" for number in random.sample(range(100, 999), len(names))]
    users = dict(zip(names, ids, strict=True))
    inbox = [{random.choice(ids[1:]): random.choice(_LINES)} for _ in range(random.randint(1, 3))]
    return {
        "random_seed": random.randint(1, 10**6),
        "user_count": len(users),
        "user_map": users,
        "inbox": inbox,
        "message_count": len(inbox),
        "current_user": ids[0],
    }


def _posts(random: Random, size: int) -> dict[str, Any]:
    me, *others = [name.lower() for name in _some(random, _PEOPLE, size + 2)]
    tweets = {}
    for number in range(size):
        words = random.choice(_LINES)
        tag = random.choice(_STEMS)
        tweets[str(number)] = {
            **{"id": number, "username": random.choice([me, *others]), "content": f"{words} #{tag}"},
            **{"tags": [f"#{tag}"], "mentions": []},
        }
    return {
        "username": me,
        "password": f"{random.choice(_STEMS)}{random.randint(10, 99)}",
        "authenticated": random.random() < 0.5,
        "tweets": tweets,
        "comments": {},
        "retweets": {},
        "following_list": others[: max(1, size // 2)],
        "tweet_counter": len(tweets),
    }


def _tickets(random: Random, size: int) -> dict[str, Any]:
    user, first = random.choice(_PEOPLE), random.randint(20, 800)
    queue = [
        {
            **{"id": first + number, "title": title, "description": random.choice(_LINES)},
            **{"status": random.choice(("Open", "Open", "Open", "Resolved")), "created_by": user},
            "priority": random.randint(1, 5),
        }
        for number, title in enumerate(_some(random, _TROUBLES, size))
    ]
    return {"ticket_queue": queue, "ticket_counter": first + len(queue), "current_user": user}


def _stocks(random: Random, size: int) -> dict[str, Any]:
    stocks = {}
    for symbol in _some(random, _SYMBOLS, size + 3):
        price = round(random.uniform(20, 900), 2)
        stocks[symbol] = {
            **{"price": price, "percent_change": round(random.uniform(-2, 2), 2)},
            **{"volume": round(random.uniform(0.5, 4), 3), "MA(5)": round(price * 0.99, 2)},
            "MA(20)": round(price * 1.01, 2),
        }
    first = random.randint(20000, 80000)
    orders = {
        str(first + number): {
            **{"id": first + number, "order_type": random.choice(("Buy", "Sell")), "symbol": symbol},
            **{"price": stocks[symbol]["price"], "amount": random.randint(1, 40)},
            "status": random.choice(("Open", "Pending", "Completed")),
        }
        for number, symbol in enumerate(random.choices(list(stocks), k=max(1, size // 2)))
    }
    account = {
        "account_id": random.randint(10000, 99999),
        "balance": round(random.uniform(20_000, 90_000), 2),
        "binding_card": random.randint(10**15, 10**16 - 1),
    }
    return {
        "orders": orders,
        "account_info": account,
        "authenticated": random.random() < 0.5,
        "market_status": "Open",
        "order_counter": first + len(orders),
        "stocks": stocks,
        "watch_list": random.sample(list(stocks), 2),
        "transaction_history": [],
        "random_seed": random.randint(1, 10**6),
    }


def _journeys(random: Random, size: int) -> dict[str, Any]:
    first, last = random.choice(_PEOPLE), random.choice(_FAMILIES)
    cards = {
        f"card_{random.randint(1000, 9999)}": {
            **{"card_number": str(random.randint(10**15, 10**16 - 1)), "cardholder_name": f"{first} {last}"},
            **{
                "expiration_date": f"{random.randint(1, 12):02d}/2029",
                "balance": random.randint(20, 90) * 1000,
            },
            "card_verification_number": random.randint(100, 999),
        }
        for _ in range(max(1, size // 2))
    }
    return {
        "random_seed": random.randint(1, 10**6),
        "credit_card_list": cards,
        "booking_record": {},
        "access_token": f"{random.choice(_STEMS)}{random.randint(1000, 9999)}",
        "token_type": "Bearer",
        "token_expires_in": 3600,
        "token_scope": "read_write",
        "user_first_name": first,
        "user_last_name": last,
        "budget_limit": float(random.randint(20, 80) * 100),
        "places": _some(random, _PLACES, 4),
    }


def _car(random: Random, size: int) -> dict[str, Any]:
    doors = ("driver", "passenger", "rear_left", "rear_right")
    return {
        "random_seed": random.randint(1, 10**6),
        "fuelLevel": round(random.uniform(5, 35), 1),
        "batteryVoltage": round(random.uniform(11.8, 13.2), 1),
        "engineState": "stopped",
        "doorStatus": {door: random.choice(("locked", "unlocked")) for door in doors},
        "acTemperature": float(random.randint(17, 27)),
        "fanSpeed": random.randint(10, 90),
        "acMode": random.choice(("auto", "cool", "heat")),
        "humidityLevel": float(random.randint(30, 70)),
        "headLightStatus": random.choice(("on", "off")),
        "parkingBrakeStatus": random.choice(("engaged", "released")),
        "brakePedalStatus": "released",
        "distanceToNextVehicle": float(random.randint(30, 120)),
        "cruiseStatus": "inactive",
        "destination": "None",
        "frontLeftTirePressure": float(random.randint(28, 34)),
        "frontRightTirePressure": float(random.randint(28, 34)),
        "rearLeftTirePressure": float(random.randint(28, 34)),
        "rearRightTirePressure": float(random.randint(28, 34)),
        "city": [place for pair in random.sample(_NEIGHBOURS, 2) for place in pair],
    }


_DRAWN: Mapping[str, Callable[[Random, int], dict[str, Any]]] = {
    "GorillaFileSystem": _files,
    "MathAPI": _numbers,
    "MessageAPI": _messages,
    "TwitterAPI": _posts,
    "TicketAPI": _tickets,
    "TradingBot": _stocks,
    "TravelAPI": _journeys,
    "VehicleControlAPI": _car,
}
