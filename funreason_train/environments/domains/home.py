"""A house that can be controlled: rooms, devices, scenes, schedules and an alarm."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from random import Random
from typing import Annotated, Any, Literal, TypedDict

from ..schemas import Between
from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

Kind = Literal["lamp", "heater", "blind", "speaker", "lock"]
Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
Share = Annotated[float, Between(0, 1)]

_HUB = ("connect_hub",)
_WATTS = {"lamp": 9.0, "heater": 800.0, "blind": 0.0, "speaker": 12.0, "lock": 0.5}
_CLOCK = re.compile(r"[0-2]\d:[0-5]\d")


@dataclass
class Setting:
    """What a scene does to one device.

    Attributes:
        device: Id of the device.
        on: Whether it is on.
        level: Brightness of a lamp, opening of a blind, degrees of a heater; null leaves it as it is.
    """

    device: str
    on: bool
    level: float | None = None


class RoomLine(TypedDict):
    """One of several rooms."""

    room: str
    room_name: str
    devices: list[str]


class Home(TableWorld):
    """Tables: `hubs` {home_code}, `rooms` {room_name, temperature, humidity}, `devices` {room, kind, on,
    level, color}, `scenes` {scene_name, settings}, `schedules` {device, at, on, weekdays}, `alarm`
    {mode, pin, delay}."""

    name = "home"
    tables = ("hubs", "rooms", "devices", "scenes", "schedules", "alarm")

    @tool(returns={"hub": str})
    def connect_hub(self, home_code: str) -> dict[str, Any]:
        """Connect to the hub of the house, through which devices are controlled.

        Args:
            home_code: The code printed on the hub.
        """
        return {"hub": self.find("hubs", home_code=home_code)}

    @tool(requires=_HUB, ends=_HUB, returns={"connected": bool})
    def disconnect_hub(self) -> dict[str, Any]:
        """Disconnect from the hub."""
        return {"connected": False}

    @tool(returns={"rooms": list[RoomLine]})
    def list_rooms(self) -> dict[str, Any]:
        """List the rooms and what is in them."""
        lines = [
            {
                "room": key,
                "room_name": one["room_name"],
                "devices": [name for name, device in self.state["devices"].items() if device["room"] == key],
            }
            for key, one in self.state["rooms"].items()
        ]
        return {"rooms": lines}

    @tool(returns={"room": str})
    def find_room(self, room_name: str) -> dict[str, Any]:
        """Look up a room.

        Args:
            room_name: Its name.
        """
        return {"room": self.find("rooms", room_name=room_name)}

    @tool(returns={"device": str, "on": bool})
    def find_device(self, room: str, kind: Kind) -> dict[str, Any]:
        """Look up a device in a room.

        Args:
            room: Id of the room.
            kind: What it is.
        """
        self.record("rooms", room)
        device = self.find("devices", room=room, kind=kind)
        return {"device": device, "on": self.state["devices"][device]["on"]}

    @tool(returns={"kind": str, "on": bool, "level": float, "color": list[int] | None})
    def get_device(self, device: str) -> dict[str, Any]:
        """Tell how a device is set.

        Args:
            device: Id of the device.
        """
        one = self.record("devices", device)
        return {key: one[key] for key in ("kind", "on", "level", "color")}

    @tool(requires=_HUB, returns={"on": bool})
    def switch_device(self, device: str, on: bool) -> dict[str, Any]:
        """Switch a device on or off; locks have tools of their own.

        Args:
            device: Id of the device.
            on: Whether it is to be on.
        """
        self._device(device, "lamp", "heater", "blind", "speaker")["on"] = on
        return {"on": on}

    @tool(requires=_HUB, returns={"level": float})
    def dim_lamp(self, device: str, level: Share) -> dict[str, Any]:
        """Set how bright a lamp is that is on.

        Args:
            device: Id of the lamp.
            level: 1 is brightest.
        """
        self._running(device, "lamp")["level"] = level
        return {"level": level}

    @tool(requires=_HUB, returns={"color": list[int]})
    def color_lamp(self, device: str, color: list[Annotated[int, Between(0, 255)]]) -> dict[str, Any]:
        """Set the color of a lamp that is on.

        Args:
            device: Id of the lamp.
            color: Red, green and blue.
        """
        if len(color) != 3:
            raise ToolError("a color is three numbers")
        self._running(device, "lamp")["color"] = color
        return {"color": color}

    @tool(requires=_HUB, returns={"level": float})
    def heat_to(self, device: str, celsius: Annotated[float, Between(5, 30)]) -> dict[str, Any]:
        """Set the temperature that a heater which is on keeps.

        Args:
            device: Id of the heater.
            celsius: In degrees.
        """
        self._running(device, "heater")["level"] = celsius
        return {"level": celsius}

    @tool(requires=_HUB, returns={"level": float})
    def move_blind(self, device: str, opening: Share) -> dict[str, Any]:
        """Open or close a blind.

        Args:
            device: Id of the blind.
            opening: 0 is shut, 1 is open.
        """
        self._device(device, "blind").update(level=opening, on=True)
        return {"level": opening}

    @tool(requires=_HUB, returns={"playing": str, "level": float})
    def announce(
        self, device: str, message: str, volume: Share = 0.4, repeat: bool = False
    ) -> dict[str, Any]:
        """Let a speaker say something; it is switched on for it.

        Args:
            device: Id of the speaker.
            message: What it says.
            volume: 1 is loudest.
            repeat: Whether it says it twice.
        """
        self._device(device, "speaker").update(on=True, level=volume, said=[message] * (2 if repeat else 1))
        return {"playing": message, "level": volume}

    @tool(requires=_HUB, returns={"scene": str})
    def create_scene(self, scene_name: str, settings: list[Setting]) -> dict[str, Any]:
        """Save settings of several devices under one name.

        Args:
            scene_name: How it is called.
            settings: What it does.
        """
        if not settings:
            raise ToolError("a scene sets at least one device")
        for one in settings:
            self._device(one.device, "lamp", "heater", "blind", "speaker")
        record = {"scene_name": scene_name, "settings": [asdict(one) for one in settings]}
        return {"scene": self.add("scenes", record)}

    @tool(returns={"scene": str})
    def find_scene(self, scene_name: str) -> dict[str, Any]:
        """Look up a scene.

        Args:
            scene_name: How it is called.
        """
        return {"scene": self.find("scenes", scene_name=scene_name)}

    @tool(requires=_HUB, returns={"changed": int})
    def run_scene(self, scene: str) -> dict[str, Any]:
        """Set all devices of a scene.

        Args:
            scene: Id of the scene.
        """
        settings = self.record("scenes", scene)["settings"]
        for one in settings:
            device = self.record("devices", one["device"])
            device["on"] = one["on"]
            device["level"] = device["level"] if one["level"] is None else one["level"]
        return {"changed": len(settings)}

    @tool(requires=_HUB, returns={"deleted": bool})
    def delete_scene(self, scene: str) -> dict[str, Any]:
        """Delete a scene.

        Args:
            scene: Id of the scene.
        """
        self.record("scenes", scene)
        del self.state["scenes"][scene]
        return {"deleted": True}

    @tool(requires=_HUB, returns={"schedule": str})
    def add_schedule(
        self, device: str, at: str, on: bool = True, weekdays: list[Weekday] | None = None
    ) -> dict[str, Any]:
        """Switch a device at a time of day, from now on.

        Args:
            device: Id of the device.
            at: As 06:45.
            on: Whether it is switched on then, or off.
            weekdays: Only on these days; left out, on all.
        """
        self._device(device, "lamp", "heater", "blind", "speaker")
        if not _CLOCK.fullmatch(at):
            raise ToolError(f"{at} is not a time; write it as 06:45")
        record = {"device": device, "at": at, "on": on, "weekdays": weekdays}
        return {"schedule": self.add("schedules", record)}

    @tool(requires=_HUB, returns={"removed": bool})
    def remove_schedule(self, schedule: str) -> dict[str, Any]:
        """Remove a schedule.

        Args:
            schedule: Id of the schedule.
        """
        self.record("schedules", schedule)
        del self.state["schedules"][schedule]
        return {"removed": True}

    @tool(requires=_HUB, returns={"locked": bool})
    def lock_door(self, device: str) -> dict[str, Any]:
        """Lock a door.

        Args:
            device: Id of the lock.
        """
        self._device(device, "lock")["on"] = True
        return {"locked": True}

    @tool(requires=_HUB, returns={"locked": bool})
    def unlock_door(self, device: str) -> dict[str, Any]:
        """Unlock a door; not while the alarm is armed.

        Args:
            device: Id of the lock.
        """
        one = self._device(device, "lock")
        if self.state["alarm"].get("mode", "off") != "off":
            raise ToolError("the alarm is armed; disarm it first")
        one["on"] = False
        return {"locked": False}

    @tool(requires=_HUB, returns={"mode": str})
    def arm_alarm(
        self, mode: Literal["home", "away"], delay: Annotated[int, Between(0, 300)] = 30
    ) -> dict[str, Any]:
        """Arm the alarm; all doors have to be locked.

        Args:
            mode: Whether somebody stays.
            delay: Seconds until it is armed.
        """
        doors = self.state["devices"].items()
        if open_doors := [key for key, one in doors if one["kind"] == "lock" and not one["on"]]:
            raise ToolError(f"{', '.join(open_doors)} is not locked")
        self.state["alarm"].update(mode=mode, delay=delay)
        return {"mode": mode}

    @tool(requires=_HUB, returns={"mode": str})
    def disarm_alarm(self, pin: str) -> dict[str, Any]:
        """Disarm the alarm.

        Args:
            pin: Four digits.
        """
        if self.state["alarm"].get("mode", "off") == "off":
            raise ToolError("the alarm is not armed")
        if pin != self.state["alarm"].get("pin"):
            raise ToolError("the pin is wrong")
        self.state["alarm"]["mode"] = "off"
        return {"mode": "off"}

    @tool(returns={"value": float, "unit": str})
    def read_sensor(self, room: str, sensor: Literal["temperature", "humidity"]) -> dict[str, Any]:
        """Tell what a room's sensor measures.

        Args:
            room: Id of the room.
            sensor: Which one.
        """
        unit = "°C" if sensor == "temperature" else "%"
        return {"value": self.record("rooms", room)[sensor], "unit": unit}

    @tool(returns={"watts": float})
    def get_energy_use(self, room: str | None = None) -> dict[str, Any]:
        """Tell how much power the devices that are on take.

        Args:
            room: Id of a room; left out, the whole house.
        """
        if room is not None:
            self.record("rooms", room)
        used = [
            _WATTS[one["kind"]]
            for one in self.state["devices"].values()
            if one["on"] and room in (None, one["room"])
        ]
        return {"watts": float(sum(used))}

    def _device(self, device: str, *kinds: str) -> dict[str, Any]:
        one = self.record("devices", device)
        if one["kind"] not in kinds:
            raise ToolError(f"{device} is a {one['kind']}")
        return one

    def _running(self, device: str, kind: str) -> dict[str, Any]:
        one = self._device(device, kind)
        if not one["on"]:
            raise ToolError(f"{device} is off; switch it on first")
        return one

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """A house of several rooms with some devices each."""
        draw = Draw(random, size)
        draw.table("hubs", "HB", [{"home_code": draw.code(6)}])
        names = ("Kitchen", "Bedroom", "Study", "Hall", "Bathroom", "Attic", "Cellar", "Nursery", "Workshop")
        chosen = random.sample(names, min(draw.size, len(names)))
        rooms = draw.table(
            "rooms",
            "RO",
            (
                {"room_name": name, "temperature": draw.amount(16, 24, 1), "humidity": draw.amount(30, 60, 1)}
                for name in chosen
            ),
        )
        kinds = ("lamp", "heater", "blind", "speaker", "lock")
        devices = [
            {"room": room, "kind": kind, "on": bool(draw.number(0, 1)), "level": 0.5, "color": None}
            for place, room in enumerate(rooms)
            for kind in dict.fromkeys(("lamp", kinds[1 + place % 4], draw.one(kinds)))
        ]
        draw.table("devices", "DV", devices)
        draw.table("scenes", "SC", (), spare=draw.size + 4)
        draw.table("schedules", "SD", (), spare=draw.size + 4)
        armed = draw.number(0, 3) == 0
        draw.config["alarm"] = {"mode": "away" if armed else "off", "pin": draw.code(4), "delay": 30}
        return draw.config
