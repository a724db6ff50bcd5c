"""A shop: items with a price and a stock, and the orders that draw on it."""

from __future__ import annotations

from random import Random
from typing import Any

from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

_NAMES = tuple(
    first + second
    for first in ("Lumo", "Velo", "Nima", "Oro", "Tessa", "Quin")
    for second in ("box", "lamp", "chair", "cup", "bag", "clock")
)


class Shop(TableWorld):
    """Tables: `items` {name, price, stock}, `orders` {item, quantity, city, status}."""

    name = "shop"
    tables = ("items", "orders")

    @tool(returns={"item": str})
    def find_item(self, name: str) -> dict[str, Any]:
        """Look up the id of an item by name."""
        return {"item": self.find("items", name=name)}

    @tool(returns={"price": int})
    def get_price(self, item: str) -> dict[str, Any]:
        """Tell the price of an item."""
        return {"price": self.record("items", item)["price"]}

    @tool(returns={"price": int})
    def set_price(self, item: str, price: int) -> dict[str, Any]:
        """Change the price of an item."""
        record = self.record("items", item)
        if price < 1:
            raise ToolError("a price is at least 1")
        record["price"] = price
        return {"price": price}

    @tool(returns={"stock": int})
    def get_stock(self, item: str) -> dict[str, Any]:
        """Tell how many pieces of an item are left."""
        return {"stock": self.record("items", item)["stock"]}

    @tool(returns={"stock": int})
    def restock_item(self, item: str, quantity: int) -> dict[str, Any]:
        """Add pieces of an item to the stock."""
        record = self.record("items", item)
        if quantity < 1:
            raise ToolError("a quantity is at least 1")
        record["stock"] += quantity
        return {"stock": record["stock"]}

    @tool(returns={"order": str})
    def order_item(self, item: str, quantity: int) -> dict[str, Any]:
        """Order pieces of an item."""
        self._take(item, quantity)
        record = {"item": item, "quantity": quantity, "city": None, "status": "New"}
        return {"order": self.add("orders", record)}

    @tool(returns={"status": str})
    def track_order(self, order: str) -> dict[str, Any]:
        """Tell the status of an order."""
        return {"status": self.record("orders", order)["status"]}

    @tool(returns={"quantity": int})
    def change_order(self, order: str, quantity: int) -> dict[str, Any]:
        """Change the quantity of an order."""
        record = self._new(order)
        self._take(record["item"], quantity, returned=record["quantity"])
        record["quantity"] = quantity
        return {"quantity": quantity}

    @tool(returns={"status": str})
    def ship_order(self, order: str, city: str) -> dict[str, Any]:
        """Ship an order to a city."""
        record = self._new(order)
        record.update(city=city, status="Shipped")
        return {"status": "Shipped"}

    @tool(returns={"status": str})
    def cancel_order(self, order: str) -> dict[str, Any]:
        """Cancel an order and put its pieces back."""
        record = self._new(order)
        self.record("items", record["item"])["stock"] += record["quantity"]
        record["status"] = "Cancelled"
        return {"status": "Cancelled"}

    def _new(self, order: str) -> dict[str, Any]:
        record = self.record("orders", order)
        if record["status"] != "New":
            raise ToolError(f"{order} is {record['status'].lower()} already")
        return record

    def _take(self, item: str, quantity: int, returned: int = 0) -> None:
        """Takes pieces out of the stock, after those that come back; too few left is an error."""
        record = self.record("items", item)
        if not 1 <= quantity <= record["stock"] + returned:
            raise ToolError(f"{quantity} pieces of {item} cannot be had")
        record["stock"] += returned - quantity

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """Items, and an order of every other one."""
        draw = Draw(random, size)
        words = random.sample(_NAMES, min(draw.size, len(_NAMES)))
        items = draw.table(
            "items",
            "K",
            ({"name": word, "price": draw.number(5, 200), "stock": draw.number(0, 20)} for word in words),
        )
        orders = (
            {"item": item, "quantity": draw.number(1, 5), "city": None, "status": "New"}
            for item in items[::2]
        )
        draw.table("orders", "R", orders, spare=draw.size + 4)
        return draw.config
