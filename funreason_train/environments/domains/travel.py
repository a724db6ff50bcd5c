"""A railway desk: stations, the trains between them, and bookings."""

from __future__ import annotations

from typing import Any, Literal

from ..tables import TableWorld
from ..tools import ToolError, tool

Cabin = Literal["Second", "First", "Sleeper"]


class Travel(TableWorld):
    """Tables: `stations` {city, platforms}, `trains` {station, fare, delay, seats}, `bookings`
    {train, passenger, cabin, status}."""

    name = "travel"
    tables = ("stations", "trains", "bookings")

    @tool
    def find_station(self, city: str) -> dict[str, Any]:
        """Look up the id of the station of a city."""
        return {"station": self.find("stations", city=city)}

    @tool
    def get_platforms(self, station: str) -> dict[str, Any]:
        """Tell how many platforms a station has."""
        return {"platforms": self.record("stations", station)["platforms"]}

    @tool
    def next_train(self, station: str) -> dict[str, Any]:
        """Look up the next train that leaves a station."""
        self.record("stations", station)
        return {"train": self.find("trains", station=station)}

    @tool
    def get_fare(self, train: str) -> dict[str, Any]:
        """Tell the fare of a train."""
        return {"fare": self.record("trains", train)["fare"]}

    @tool
    def get_delay(self, train: str) -> dict[str, Any]:
        """Tell how many minutes a train is late."""
        return {"delay": self.record("trains", train)["delay"]}

    @tool
    def book_seat(self, train: str, passenger: str) -> dict[str, Any]:
        """Book a seat on a train for a passenger."""
        record = self.record("trains", train)
        if record["seats"] < 1:
            raise ToolError(f"{train} is full")
        booking = {"train": train, "passenger": passenger, "cabin": "Second", "status": "Booked"}
        key = self.add("bookings", booking)
        record["seats"] -= 1
        return {"booking": key}

    @tool
    def get_booking(self, booking: str) -> dict[str, Any]:
        """Tell the train and the cabin of a booking."""
        record = self.record("bookings", booking)
        return {"train": record["train"], "cabin": record["cabin"]}

    @tool
    def change_cabin(self, booking: str, cabin: Cabin) -> dict[str, Any]:
        """Change the cabin of a booking."""
        self._booked(booking)["cabin"] = cabin
        return {"cabin": cabin}

    @tool
    def rename_booking(self, booking: str, passenger: str) -> dict[str, Any]:
        """Hand a booking over to another passenger."""
        self._booked(booking)["passenger"] = passenger
        return {"passenger": passenger}

    @tool
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
