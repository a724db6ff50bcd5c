"""A car rental: branches, cars, drivers, and rentals from the quote to the last bill."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random
from typing import Annotated, Any, Literal, TypedDict

from ..schemas import Between
from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

Category = Literal["compact", "family", "van", "electric"]
Extra = Literal["child_seat", "navigation", "snow_chains", "roof_box"]
Part = Literal["bumper", "door", "window", "tyre", "mirror"]
Work = Literal["oil", "brakes", "tyres", "inspection"]
Days = Annotated[int, Between(1, 60)]
Share = Annotated[float, Between(0, 1)]

_DESK = ("open_desk",)
_EXTRA = {"child_seat": 5.0, "navigation": 3.5, "snow_chains": 6.0, "roof_box": 8.0}
_TANK = 50.0  # litres
_PER_LITRE = 2.2


@dataclass
class Card:
    """What a rental is secured with.

    Attributes:
        holder: Name on the card.
        last_digits: The last four digits.
        limit: What may be held on it.
    """

    holder: str
    last_digits: str
    limit: Annotated[float, Between(minimum=0)] = 1000.0


@dataclass
class Damage:
    """What is broken.

    Attributes:
        part: Where.
        severe: Whether the car cannot be driven.
        note: How it came about.
    """

    part: Part
    severe: bool = False
    note: str | None = None


class CarLine(TypedDict):
    """One of several cars."""

    car: str
    model: str
    category: str
    rate: float


class Rental(TableWorld):
    """Tables: `branches` {town, address, desk_code}, `cars` {branch, model, category, rate, fuel,
    kilometres, status}, `drivers` {driver_name, licence, age}, `quotes` {car, days, extras, total},
    `rentals` {car, driver, days, total, status, card}, `claims` {rental, part, cost, status}, `charges`
    {rental, amount, paid}."""

    name = "rental"
    tables = ("branches", "cars", "drivers", "quotes", "rentals", "claims", "charges", "desk")

    @tool(returns={"branch": str, "address": str})
    def find_branch(self, town: str) -> dict[str, Any]:
        """Look up the branch in a town.

        Args:
            town: Name of the town.
        """
        branch = self.find("branches", town=town)
        return {"branch": branch, "address": self.state["branches"][branch]["address"]}

    @tool(returns={"branch": str})
    def open_desk(self, branch: str, desk_code: str) -> dict[str, Any]:
        """Begin to work at the desk of a branch, where cars are handed out and taken back.

        Args:
            branch: Id of the branch.
            desk_code: Of the branch, four digits.
        """
        if self.record("branches", branch)["desk_code"] != desk_code:
            raise ToolError("the code is wrong")
        self.state["desk"] = {"branch": branch}
        return {"branch": branch}

    @tool(requires=_DESK, ends=_DESK, returns={"closed": bool})
    def close_desk(self) -> dict[str, Any]:
        """End the work at the desk."""
        self.state["desk"] = {}
        return {"closed": True}

    @tool(returns={"cars": list[CarLine]})
    def list_cars(
        self, branch: str, category: Category | None = None, most: Annotated[float, Between(0, 1000)] = 1000.0
    ) -> dict[str, Any]:
        """List the cars of a branch that are free.

        Args:
            branch: Id of the branch.
            category: Only such cars.
            most: Only cars that cost no more a day.
        """
        self.record("branches", branch)
        lines = [
            {"car": key, "model": one["model"], "category": one["category"], "rate": one["rate"]}
            for key, one in self.state["cars"].items()
            if one["branch"] == branch
            and one["status"] == "free"
            and one["rate"] <= most
            and category in (None, one["category"])
        ]
        return {"cars": lines}

    @tool(returns={"model": str, "rate": float, "fuel": float, "kilometres": int, "status": str})
    def get_car(self, car: str) -> dict[str, Any]:
        """Tell all about a car.

        Args:
            car: Id of the car.
        """
        one = self.record("cars", car)
        return {key: one[key] for key in ("model", "category", "rate", "fuel", "kilometres", "status")}

    @tool(returns={"driver": str})
    def register_driver(
        self, driver_name: str, licence: str, age: Annotated[int, Between(18, 99)]
    ) -> dict[str, Any]:
        """Register a new driver.

        Args:
            driver_name: Full name.
            licence: Number of the driving licence.
            age: In years.
        """
        if any(one["licence"] == licence for one in self.state["drivers"].values()):
            raise ToolError(f"the licence {licence} is registered already")
        record = {"driver_name": driver_name, "licence": licence, "age": age}
        return {"driver": self.add("drivers", record)}

    @tool(returns={"driver": str, "driver_name": str, "age": int})
    def find_driver(self, licence: str) -> dict[str, Any]:
        """Look up a driver.

        Args:
            licence: Number of the driving licence.
        """
        driver = self.find("drivers", licence=licence)
        one = self.state["drivers"][driver]
        return {"driver": driver, "driver_name": one["driver_name"], "age": one["age"]}

    @tool(returns={"quote": str, "total": float})
    def quote_rental(
        self, car: str, days: Days, extras: list[Extra] | None = None, insured: bool = True
    ) -> dict[str, Any]:
        """Tell what a free car costs, as an offer that can be taken.

        Args:
            car: Id of the car.
            days: For how long.
            extras: What comes with it, paid by the day.
            insured: Whether damage is covered, for 12 more a day.
        """
        one = self._car(car, "free")
        daily = one["rate"] + sum(_EXTRA[extra] for extra in extras or ()) + (12.0 if insured else 0.0)
        total = round(daily * days, 2)
        record = {"car": car, "days": days, "extras": extras or [], "insured": insured, "total": total}
        return {"quote": self.add("quotes", record), "total": total}

    @tool(returns={"rental": str, "total": float})
    def reserve_car(self, quote: str, driver: str) -> dict[str, Any]:
        """Take an offer; drivers below 23 pay a fifth more.

        Args:
            quote: Id of the offer.
            driver: Id of the driver.
        """
        offer, age = self.record("quotes", quote), self.record("drivers", driver)["age"]
        self._car(offer["car"], "free")["status"] = "reserved"
        total = round(offer["total"] * (1.2 if age < 23 else 1.0), 2)
        record = {"car": offer["car"], "driver": driver, "days": offer["days"], "insured": offer["insured"]}
        rental = self.add("rentals", {**record, "total": total, "status": "reserved", "card": None})
        return {"rental": rental, "total": total}

    @tool(returns={"status": str, "held": float})
    def secure_rental(self, rental: str, card: Card) -> dict[str, Any]:
        """Secure a reserved rental with a card, on which its price is held.

        Args:
            rental: Id of the rental.
            card: The driver's.
        """
        one = self._rental(rental, "reserved")
        if card.limit < one["total"]:
            raise ToolError(f"the card's limit is below {one['total']}")
        one.update(status="secured", card=asdict(card))
        return {"status": "secured", "held": one["total"]}

    @tool(returns={"status": str, "refund": float})
    def cancel_rental(self, rental: str) -> dict[str, Any]:
        """Cancel a rental before the car is handed over.

        Args:
            rental: Id of the rental.
        """
        one = self._rental(rental, "reserved", "secured")
        refund = one["total"] if one["status"] == "secured" else 0.0
        one["status"] = "cancelled"
        self.record("cars", one["car"])["status"] = "free"
        return {"status": "cancelled", "refund": refund}

    @tool(requires=_DESK, returns={"car": str, "fuel": float, "kilometres": int})
    def hand_over_car(self, rental: str) -> dict[str, Any]:
        """Hand the car of a secured rental over; it has to stand at this branch.

        Args:
            rental: Id of the rental.
        """
        one = self._rental(rental, "secured")
        car = self._car(one["car"], "reserved")
        if car["branch"] != self.state["desk"].get("branch"):
            raise ToolError(f"{one['car']} stands at {car['branch']}")
        car["status"], one["status"] = "out", "out"
        return {"car": one["car"], "fuel": car["fuel"], "kilometres": car["kilometres"]}

    @tool(returns={"days": int, "total": float})
    def extend_rental(self, rental: str, days: Days) -> dict[str, Any]:
        """Extend a rental at the price that was agreed.

        Args:
            rental: Id of the rental.
            days: How many more.
        """
        one = self._rental(rental, "reserved", "secured", "out")
        one["total"] = round(one["total"] * (one["days"] + days) / one["days"], 2)
        one["days"] += days
        return {"days": one["days"], "total": one["total"]}

    @tool(requires=_DESK, returns={"charge": str, "amount": float})
    def take_back_car(
        self, rental: str, kilometres: Annotated[int, Between(minimum=0)], fuel: Share
    ) -> dict[str, Any]:
        """Take a car back and charge the rental and the missing fuel. It stands at this branch then.

        Args:
            rental: Id of the rental.
            kilometres: As the car shows.
            fuel: How full the tank is; 1 is full.
        """
        one = self._rental(rental, "out")
        car = self.record("cars", one["car"])
        if kilometres < car["kilometres"]:
            raise ToolError(f"the car had {car['kilometres']} km already")
        missing = max(car["fuel"] - fuel, 0.0) * _TANK * _PER_LITRE
        amount = round(one["total"] + missing, 2)
        here = self.state["desk"].get("branch")
        car.update(kilometres=kilometres, fuel=fuel, status="free", branch=here)
        one["status"] = "returned"
        record = {"rental": rental, "amount": amount, "paid": False}
        return {"charge": self.add("charges", record), "amount": amount}

    @tool(returns={"paid": bool})
    def settle_charge(self, charge: str, amount: float) -> dict[str, Any]:
        """Pay what a rental cost.

        Args:
            charge: Id of the charge.
            amount: Exactly what is due.
        """
        one = self.record("charges", charge)
        if one["paid"] or amount != one["amount"]:
            raise ToolError(f"{0.0 if one['paid'] else one['amount']} is due")
        one["paid"] = True
        return {"paid": True}

    @tool(requires=_DESK, returns={"claim": str, "cost": float})
    def report_damage(self, rental: str, damage: Damage) -> dict[str, Any]:
        """Note damage to a car that is out or was returned.

        Args:
            rental: Id of the rental.
            damage: What is broken.
        """
        one = self._rental(rental, "out", "returned")
        cost = 0.0 if one["insured"] else 900.0 if damage.severe else 250.0
        record = {"rental": rental, **asdict(damage), "cost": cost, "status": "open"}
        return {"claim": self.add("claims", record), "cost": cost}

    @tool(returns={"status": str, "cost": float})
    def answer_claim(self, claim: str, accept: bool) -> dict[str, Any]:
        """Record whether the driver accepts a claim.

        Args:
            claim: Id of the claim.
            accept: Whether they do.
        """
        one = self.record("claims", claim)
        if one["status"] != "open":
            raise ToolError(f"{claim} is {one['status']}")
        one["status"] = "accepted" if accept else "disputed"
        return {"status": one["status"], "cost": one["cost"]}

    @tool(requires=_DESK, returns={"fuel": float})
    def refuel_car(self, car: str, litres: Annotated[float, Between(0.1, 80)]) -> dict[str, Any]:
        """Refuel a car that is not out.

        Args:
            car: Id of the car.
            litres: How much; the tank holds 50.
        """
        one = self._car(car, "free", "reserved", "service")
        if one["fuel"] * _TANK + litres > _TANK:
            raise ToolError("the tank does not hold that much")
        one["fuel"] = round(one["fuel"] + litres / _TANK, 3)
        return {"fuel": one["fuel"]}

    @tool(requires=_DESK, returns={"status": str})
    def send_to_service(self, car: str, work: list[Work]) -> dict[str, Any]:
        """Send a free car to the workshop.

        Args:
            car: Id of the car.
            work: What is to be done.
        """
        if not work:
            raise ToolError("there is nothing to be done")
        self._car(car, "free").update(status="service", work=work)
        return {"status": "service"}

    @tool(requires=_DESK, returns={"status": str})
    def end_service(self, car: str) -> dict[str, Any]:
        """Take a car back from the workshop.

        Args:
            car: Id of the car.
        """
        one = self._car(car, "service")
        one["status"] = "free"
        del one["work"]
        return {"status": "free"}

    def _car(self, car: str, *allowed: str) -> dict[str, Any]:
        one = self.record("cars", car)
        if one["status"] not in allowed:
            raise ToolError(f"{car} is {one['status']}, not {' or '.join(allowed)}")
        return one

    def _rental(self, rental: str, *allowed: str) -> dict[str, Any]:
        one = self.record("rentals", rental)
        if one["status"] not in allowed:
            raise ToolError(f"{rental} is {one['status']}, not {' or '.join(allowed)}")
        return one

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """Branches with three cars each, registered drivers, and a rental that each second one has begun."""
        draw = Draw(random, size)
        towns = ({"town": one, "address": draw.address(), "desk_code": draw.code(4)} for one in draw.towns())
        branches = draw.table("branches", "BR", towns)
        models = {"compact": "Nilo", "family": "Caravel", "van": "Porter", "electric": "Volta"}
        cars: list[dict[str, Any]] = [
            {
                **{"branch": branch, "model": f"{models[kind]} {draw.number(1, 9)}", "category": kind},
                **{"rate": draw.amount(25, 120), "fuel": draw.amount(0.2, 1, 1)},
                **{"kilometres": draw.number(500, 90_000), "status": "free"},
            }
            for branch in branches
            for kind in random.sample(list(models), 3)
        ]
        ids = draw.table("cars", "CR", cars)
        people = draw.people()
        ages = ((name, draw.number(19, 70)) for name in people)
        known = ({"driver_name": name, "licence": f"L{draw.code(6)}", "age": age} for name, age in ages)
        drivers = draw.table("drivers", "DR", known, spare=draw.size + 2)
        begun = []
        for place in range(0, min(draw.size, len(ids)), 2):
            status, car, days = draw.one(("reserved", "secured", "out")), ids[place], draw.number(1, 14)
            record = {"car": car, "driver": drivers[place], "days": days, "insured": bool(draw.number(0, 1))}
            total = round(days * cars[place]["rate"], 2)
            card = {"holder": people[place], "last_digits": draw.code(4), "limit": 5000.0}
            record |= {"total": total, "status": status, "card": None if status == "reserved" else card}
            cars[place]["status"] = "out" if status == "out" else "reserved"
            begun.append(record)
        draw.table("rentals", "RN", begun, spare=draw.size + 6)
        for name, prefix in (("quotes", "Q"), ("claims", "CL"), ("charges", "CH")):
            draw.table(name, prefix, (), spare=draw.size + 6)
        return draw.config
