"""A help desk: customers with a plan, and the tickets they open."""

from __future__ import annotations

from random import Random
from typing import Any, Literal, get_args

from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

Plan = Literal["Basic", "Plus", "Premium"]
Topic = Literal["Billing", "Login", "Refund", "Delivery", "Warranty", "Invoice"]
Level = Literal["Low", "Medium", "High", "Urgent"]


class Helpdesk(TableWorld):
    """Tables: `customers` {name, plan}, `tickets` {customer, topic, status, level, agent, note}."""

    name = "helpdesk"
    tables = ("customers", "tickets")

    @tool(returns={"customer": str})
    def find_customer(self, name: str) -> dict[str, Any]:
        """Look up the id of a customer by name."""
        return {"customer": self.find("customers", name=name)}

    @tool(returns={"plan": str})
    def get_plan(self, customer: str) -> dict[str, Any]:
        """Tell which plan a customer has."""
        return {"plan": self.record("customers", customer)["plan"]}

    @tool(returns={"plan": str})
    def set_plan(self, customer: str, plan: Plan) -> dict[str, Any]:
        """Move a customer to another plan."""
        record = self.record("customers", customer)
        if record["plan"] == plan:
            raise ToolError(f"{customer} has that plan already")
        record["plan"] = plan
        return {"plan": plan}

    @tool(returns={"ticket": str})
    def open_ticket(self, customer: str, topic: Topic) -> dict[str, Any]:
        """Open a ticket for a customer."""
        self.record("customers", customer)
        record = {"customer": customer, "topic": topic, "status": "Open", "level": "Medium", "agent": None}
        return {"ticket": self.add("tickets", record)}

    @tool(returns={"ticket": str})
    def last_ticket(self, customer: str) -> dict[str, Any]:
        """Look up the latest ticket of a customer."""
        self.record("customers", customer)
        return {"ticket": self.find("tickets", customer=customer)}

    @tool(returns={"topic": str, "status": str})
    def get_ticket(self, ticket: str) -> dict[str, Any]:
        """Tell topic and status of a ticket."""
        record = self.record("tickets", ticket)
        return {"topic": record["topic"], "status": record["status"]}

    @tool(returns={"agent": str})
    def assign_ticket(self, ticket: str, agent: str) -> dict[str, Any]:
        """Give a ticket to an agent."""
        self._open(ticket)["agent"] = agent
        return {"agent": agent}

    @tool(returns={"level": str})
    def set_level(self, ticket: str, level: Level) -> dict[str, Any]:
        """Set the priority level of a ticket."""
        self._open(ticket)["level"] = level
        return {"level": level}

    @tool(returns={"topic": str})
    def change_topic(self, ticket: str, topic: Topic) -> dict[str, Any]:
        """File a ticket under another topic."""
        self._open(ticket)["topic"] = topic
        return {"topic": topic}

    @tool(returns={"status": str})
    def close_ticket(self, ticket: str) -> dict[str, Any]:
        """Close a ticket."""
        self._open(ticket)["status"] = "Closed"
        return {"status": "Closed"}

    def _open(self, ticket: str) -> dict[str, Any]:
        record = self.record("tickets", ticket)
        if record["status"] != "Open":
            raise ToolError(f"{ticket} is closed")
        return record

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """Customers, and a ticket of every other one."""
        draw = Draw(random, size)
        customers = draw.table(
            "customers",
            "C",
            ({"name": name, "plan": draw.one(get_args(Plan))} for name in draw.people()),
        )
        tickets = (
            {
                **{"customer": customer, "topic": draw.one(get_args(Topic)), "status": "Open"},
                **{"level": "Medium", "agent": None},
            }
            for customer in customers[::2]
        )
        draw.table("tickets", "T", tickets, spare=draw.size + 4)
        return draw.config
