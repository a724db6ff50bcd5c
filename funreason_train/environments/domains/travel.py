"""A railway desk: stations, the trains between them, and bookings."""

from __future__ import annotations

from random import Random
from typing import Any, Literal

from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

Cabin = Literal["Second", "First", "Sleeper"]


class Travel(TableWorld):
    """Tables: `stations` {city, platforms}, `trains` {station, fare, delay, seats}, `bookings`
    {train, passenger, cabin, status}."""

    name = "travel"
    tables = ("stations", "trains", "bookings")

    @tool(returns={"station": str})
    def find_station(self, city: str) -> dict[str, Any]:
        """Look up the id of the station of a city."""
        return {"station": self.find("stations", city=city)}

    @tool(returns={"platforms": int})
    def get_platforms(self, station: str) -> dict[str, Any]:
        """Tell how many platforms a station has."""
        return {"platforms": self.record("stations", station)["platforms"]}

    @tool(returns={"train": str})
    def next_train(self, station: str) -> dict[str, Any]:
        """Look up the next train that leaves a station."""
        self.record("stations", station)
        return {"train": self.find("trains", station=station)}

    @tool(returns={"fare": int})
    def get_fare(self, train: str) -> dict[str, Any]:
        """Tell the fare of a train."""
        return {"fare": self.record("trains", train)["fare"]}

    @tool(returns={"delay": int})
    def get_delay(self, train: str) -> dict[str, Any]:
        """Tell how many minutes a train is late."""
        return {"delay": self.record("trains", train)["delay"]}

    @tool(returns={"booking": str})
    def book_seat(self, train: str, passenger: str) -> dict[str, Any]:
        """Book a seat on a train for a passenger."""
        record = self.record("trains", train)
        if record["seats"] < 1:
            raise ToolError(f"{train} is full")
        booking = {"train": train, "passenger": passenger, "cabin": "Second", "status": "Booked"}
        key = self.add("bookings", booking)
        record["seats"] -= 1
        return {"booking": key}

    @tool(returns={"train": str, "cabin": str})
    def get_booking(self, booking: str) -> dict[str, Any]:
        """Tell the train and the cabin of a booking."""
        record = self.record("bookings", booking)
        return {"train": record["train"], "cabin": record["cabin"]}

    @tool(returns={"cabin": str})
    def change_cabin(self, booking: str, cabin: Cabin) -> dict[str, Any]:
        """Change the cabin of a booking."""
        self._booked(booking)["cabin"] = cabin
        return {"cabin": cabin}

    @tool(returns={"passenger": str})
    def rename_booking(self, booking: str, passenger: str) -> dict[str, Any]:
        """Hand a booking over to another passenger."""
        self._booked(booking)["passenger"] = passenger
        return {"passenger": passenger}

    @tool(returns={"status": str})
    def cancel_booking(self, booking: str) -> dict[str, Any]:
        """Cancel a booking and free its seat."""
        record = self._booked(booking)
        record["status"] = "Cancelled"
        self.record("trains", record["train"])["seats"] += 1
        return {"status": "Cancelled"}

    def _booked(self, booking: str) -> dict[str, Any]:
        record = self.record("bookings", booking)
        if record["status"] != "Booked":
            raise ToolError(f"{booking} is cancelled")
        return record

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """Stations with one or two trains each, and a booking on every other train."""
        draw = Draw(random, size)
        stations = draw.table(
            "stations", "S", ({"city": town, "platforms": draw.number(1, 12)} for town in draw.towns())
        )
        rows = [
            {
                "station": station,
                "fare": draw.number(10, 150),
                "delay": draw.number(0, 40),
                "seats": draw.number(0, 9),
            }
            for station in stations
            for _ in range(draw.number(1, 2))
        ]
        trains = draw.table("trains", "N", rows)
        bookings = (
            {"train": train, "passenger": name, "cabin": "Second", "status": "Booked"}
            for train, name in zip(trains[::2], draw.people(), strict=False)
        )
        draw.table("bookings", "B", bookings, spare=draw.size + 4)
        return draw.config
