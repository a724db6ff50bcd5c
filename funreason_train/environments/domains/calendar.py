"""A calendar: people, meetings, the rooms they take place in, reminders and answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, Literal, TypedDict

from ..schemas import Between
from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

Answer = Literal["yes", "no", "maybe"]
Channel = Literal["popup", "email", "sms"]
Minutes = Annotated[int, Between(5, 480)]

_OPEN = ("open_calendar",)
_DAY = re.compile(r"2\d{3}-[01]\d-[0-3]\d")
_START = re.compile(r"[0-2]\d:[0-5]\d")


@dataclass
class TimeSlot:
    """When something takes place.

    Attributes:
        day: As 2026-03-05.
        start: As 14:30.
        minutes: How long it takes.
    """

    day: str
    start: str
    minutes: Minutes = 30


class EventLine(TypedDict):
    """One of several events."""

    event: str
    title: str
    start: str
    minutes: int


class BusyTime(TypedDict):
    """A time at which a person is not free."""

    start: str
    minutes: int


class Calendar(TableWorld):
    """Tables: `people` {name, email}, `rooms` {room_name, seats, screen}, `events` {title, day, start,
    minutes, owner, guests, room, status}, `reminders` {event, minutes_before, channel}, `session`
    {person}."""

    name = "calendar"
    tables = ("people", "rooms", "events", "reminders", "session")

    @tool(returns={"person": str, "events_today": int})
    def open_calendar(self, name: str, today: str) -> dict[str, Any]:
        """Open the calendar of a person, in whose name meetings are made and changed.

        Args:
            name: The person's full name.
            today: The day that is shown first, as 2026-03-05.
        """
        person = self.find("people", name=name)
        self.state["session"] = {"person": person}
        return {"person": person, "events_today": len(self._events(_day(today), person))}

    @tool(returns={"person": str, "email": str})
    def find_person(self, name: str) -> dict[str, Any]:
        """Look up a colleague.

        Args:
            name: The person's full name.
        """
        person = self.find("people", name=name)
        return {"person": person, "email": self.state["people"][person]["email"]}

    @tool(returns={"busy": list[BusyTime], "busy_minutes": int})
    def check_availability(self, person: str, day: str) -> dict[str, Any]:
        """Tell when a person is busy on a day.

        Args:
            person: Id of the person.
            day: As 2026-03-05.
        """
        self.record("people", person)
        busy = [
            {"start": one["start"], "minutes": one["minutes"]} for _, one in self._events(_day(day), person)
        ]
        return {"busy": busy, "busy_minutes": sum(int(one["minutes"]) for one in busy)}

    @tool(returns={"room": str, "room_name": str, "seats": int})
    def find_free_room(
        self, when: TimeSlot, seats: Annotated[int, Between(1, 100)] = 1, screen: bool = False
    ) -> dict[str, Any]:
        """Find the smallest meeting room that is free.

        Args:
            when: When it is needed.
            seats: How many people it has to hold.
            screen: Whether it has to have a screen.
        """
        _check(when)
        fitting = [
            (one["seats"], key)
            for key, one in self.state["rooms"].items()
            if one["seats"] >= seats and (one["screen"] or not screen) and self._is_free(key, when)
        ]
        if not fitting:
            raise ToolError("no room is free then; try another time or fewer seats")
        room = min(fitting)[1]
        one = self.state["rooms"][room]
        return {"room": room, "room_name": one["room_name"], "seats": one["seats"]}

    @tool(requires=_OPEN, returns={"event": str})
    def create_event(
        self, title: str, when: TimeSlot, guests: list[str] | None = None, room: str | None = None
    ) -> dict[str, Any]:
        """Put a meeting into the open calendar.

        Args:
            title: What it is about.
            when: When it takes place.
            guests: Ids of the people who are invited.
            room: Id of a room that is free then.
        """
        _check(when)
        for guest in guests or ():
            self.record("people", guest)
        if room is not None:
            self._take_room(room, when)
        record = {"title": title, "day": when.day, "start": when.start, "minutes": when.minutes}
        invited = dict.fromkeys(guests or (), "asked")
        record |= {"owner": self._me(), "guests": invited, "room": room, "status": "planned"}
        return {"event": self.add("events", record)}

    @tool(returns={"event": str, "day": str, "start": str})
    def find_event(self, title: str) -> dict[str, Any]:
        """Look up a planned meeting by its title.

        Args:
            title: The exact title.
        """
        event = self.find("events", title=title, status="planned")
        one = self.state["events"][event]
        return {"event": event, "day": one["day"], "start": one["start"]}

    @tool(
        returns={
            "title": str,
            "day": str,
            "start": str,
            "minutes": int,
            "room": str | None,
            "guests": list[str],
        }
    )
    def get_event(self, event: str) -> dict[str, Any]:
        """Tell all about a meeting.

        Args:
            event: Id of the event.
        """
        one = self.record("events", event)
        told = {key: one[key] for key in ("title", "day", "start", "minutes", "room", "status")}
        return {**told, "guests": list(one["guests"])}

    @tool(requires=_OPEN, returns={"events": list[EventLine]})
    def list_events(self, day: str) -> dict[str, Any]:
        """List the meetings of the open calendar on a day.

        Args:
            day: As 2026-03-05.
        """
        lines = [
            {"event": key, "title": one["title"], "start": one["start"], "minutes": one["minutes"]}
            for key, one in self._events(_day(day), self._me())
        ]
        return {"events": lines}

    @tool(requires=_OPEN, returns={"day": str, "start": str})
    def move_event(self, event: str, when: TimeSlot) -> dict[str, Any]:
        """Move a meeting to another time; its room has to be free then.

        Args:
            event: Id of the event.
            when: The new time.
        """
        one = self._own(event)
        _check(when)
        if one["room"] is not None and not self._is_free(one["room"], when, but=event):
            raise ToolError(f"{one['room']} is taken then; release it first or choose another time")
        one.update(day=when.day, start=when.start, minutes=when.minutes)
        return {"day": when.day, "start": when.start}

    @tool(requires=_OPEN, returns={"status": str, "notified": int})
    def cancel_event(self, event: str, notify: bool = True) -> dict[str, Any]:
        """Call a meeting off and free its room.

        Args:
            event: Id of the event.
            notify: Whether the guests are told.
        """
        one = self._own(event)
        one.update(status="cancelled", room=None)
        return {"status": "cancelled", "notified": len(one["guests"]) if notify else 0}

    @tool(requires=_OPEN, returns={"guests": list[str]})
    def invite_guests(self, event: str, guests: list[str]) -> dict[str, Any]:
        """Invite more people to a meeting.

        Args:
            event: Id of the event.
            guests: Ids of the people.
        """
        one = self._own(event)
        for guest in guests:
            self.record("people", guest)
            one["guests"].setdefault(guest, "asked")
        return {"guests": list(one["guests"])}

    @tool(requires=_OPEN, returns={"guests": list[str]})
    def remove_guest(self, event: str, guest: str) -> dict[str, Any]:
        """Take a guest off the list.

        Args:
            event: Id of the event.
            guest: Id of the person.
        """
        one = self._own(event)
        if one["guests"].pop(guest, None) is None:
            raise ToolError(f"{guest} is not invited to {event}")
        return {"guests": list(one["guests"])}

    @tool(returns={"answer": str})
    def answer_invitation(self, event: str, guest: str, answer: Answer) -> dict[str, Any]:
        """Record what an invited person answers.

        Args:
            event: Id of the event.
            guest: Id of the person.
            answer: Whether they come.
        """
        one = self._planned(event)
        if guest not in one["guests"]:
            raise ToolError(f"{guest} is not invited to {event}")
        one["guests"][guest] = answer
        return {"answer": answer}

    @tool(requires=_OPEN, returns={"room": str})
    def book_room(self, event: str, room: str) -> dict[str, Any]:
        """Book a room for a meeting.

        Args:
            event: Id of the event.
            room: Id of the room.
        """
        one = self._own(event)
        self._take_room(room, TimeSlot(one["day"], one["start"], one["minutes"]), but=event)
        one["room"] = room
        return {"room": room}

    @tool(requires=_OPEN, returns={"released": str})
    def release_room(self, event: str) -> dict[str, Any]:
        """Give a meeting's room back.

        Args:
            event: Id of the event.
        """
        one = self._own(event)
        if one["room"] is None:
            raise ToolError(f"{event} has no room")
        released, one["room"] = one["room"], None
        return {"released": released}

    @tool(requires=_OPEN, returns={"reminder": str})
    def set_reminder(
        self, event: str, minutes_before: Annotated[int, Between(0, 1440)] = 10, channel: Channel = "popup"
    ) -> dict[str, Any]:
        """Remind the owner of a meeting.

        Args:
            event: Id of the event.
            minutes_before: How long before it begins.
            channel: How.
        """
        self._own(event)
        record = {"event": event, "minutes_before": minutes_before, "channel": channel}
        return {"reminder": self.add("reminders", record)}

    @tool(requires=_OPEN, returns={"deleted": bool})
    def delete_reminder(self, reminder: str) -> dict[str, Any]:
        """Delete a reminder.

        Args:
            reminder: Id of the reminder.
        """
        self.record("reminders", reminder)
        del self.state["reminders"][reminder]
        return {"deleted": True}

    def _me(self) -> str:
        return str(self.state["session"].get("person"))

    def _events(self, day: str, person: str) -> list[tuple[str, dict[str, Any]]]:
        """A person's planned events of a day, in the order of their start."""
        found = [
            (key, one)
            for key, one in self.state["events"].items()
            if one["day"] == day
            and one["status"] == "planned"
            and (one["owner"] == person or person in one["guests"])
        ]
        return sorted(found, key=lambda pair: (pair[1]["start"], pair[0]))

    def _planned(self, event: str) -> dict[str, Any]:
        one = self.record("events", event)
        if one["status"] != "planned":
            raise ToolError(f"{event} is cancelled")
        return one

    def _own(self, event: str) -> dict[str, Any]:
        one = self._planned(event)
        if one["owner"] != self._me():
            raise ToolError(f"{event} belongs to {one['owner']}, whose calendar is not open")
        return one

    def _is_free(self, room: str, when: TimeSlot, but: str = "") -> bool:
        return not any(
            one["room"] == room and one["day"] == when.day and _overlap(one, when) and key != but
            for key, one in self.state["events"].items()
        )

    def _take_room(self, room: str, when: TimeSlot, but: str = "") -> None:
        self.record("rooms", room)
        if not self._is_free(room, when, but):
            raise ToolError(f"{room} is taken then")

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """Colleagues, rooms, and a meeting or two of each colleague in one week."""
        draw = Draw(random, size)
        names = draw.people(draw.size + 1)
        known = ({"name": name, "email": f"{name.split()[0].lower()}@example.com"} for name in names)
        people = draw.table("people", "P", known)
        halls = (
            {"room_name": f"{town} room", "seats": draw.number(2, 20), "screen": bool(draw.number(0, 1))}
            for town in draw.towns()
        )
        rooms = draw.table("rooms", "RM", halls)
        topics = ("Budget", "Roadmap", "Hiring", "Retrospective", "Design review", "Launch", "Training")
        events = [
            {
                "title": f"{draw.one(topics)} {place + 1}",
                "day": f"2026-03-0{draw.number(2, 6)}",
                "start": f"{9 + place % 8:02d}:{draw.one(('00', '30'))}",
                "minutes": draw.one((15, 30)),
                "owner": draw.one(people),
                "guests": dict.fromkeys(draw.some(people, 2), "asked"),
                "room": rooms[place % len(rooms)] if draw.number(0, 1) else None,
                "status": "planned",
            }
            for place in range(2 * draw.size)
        ]
        draw.table("events", "EV", events, spare=draw.size + 4)
        draw.table("reminders", "RE", (), spare=draw.size + 4)
        return draw.config


def _day(text: str) -> str:
    if not _DAY.fullmatch(text):
        raise ToolError(f"{text} is not a day; write it as 2026-03-05")
    return text


def _check(when: TimeSlot) -> None:
    _day(when.day)
    if not _START.fullmatch(when.start):
        raise ToolError(f"{when.start} is not a time; write it as 14:30")


def _overlap(one: dict[str, Any], when: TimeSlot) -> bool:
    mine, theirs = _minute(one["start"]), _minute(when.start)
    return bool(mine < theirs + when.minutes and theirs < mine + one["minutes"])


def _minute(start: str) -> int:
    hours, minutes = start.split(":")
    return 60 * int(hours) + int(minutes)
