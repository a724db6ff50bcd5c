"""A shop: items with a price and a stock, and the orders that draw on it."""

from __future__ import annotations

from typing import Any

from ..tables import TableWorld
from ..tools import ToolError, tool


class Shop(TableWorld):
    """Tables: `items` {name, price, stock}, `orders` {item, quantity, city, status}."""

    name = "shop"
    tables = ("items", "orders")

    @tool
    def find_item(self, name: str) -> dict[str, Any]:
        """Look up the id of an item by name."""
        return {"item": self.find("items", name=name)}

    @tool
    def get_price(self, item: str) -> dict[str, Any]:
        """Tell the price of an item."""
        return {"price": self.record("items", item)["price"]}

    @tool
    def set_price(self, item: str, price: int) -> dict[str, Any]:
        """Change the price of an item."""
        record = self.record("items", item)
        if price < 1:
            raise ToolError("a price is at least 1")
        record["price"] = price
        return {"price": price}

    @tool
    def get_stock(self, item: str) -> dict[str, Any]:
        """Tell how many pieces of an item are left."""
        return {"stock": self.record("items", item)["stock"]}

    @tool
    def restock_item(self, item: str, quantity: int) -> dict[str, Any]:
        """Add pieces of an item to the stock."""
        record = self.record("items", item)
        if quantity < 1:
            raise ToolError("a quantity is at least 1")
        record["stock"] += quantity
        return {"stock": record["stock"]}

    @tool
    def order_item(self, item: str, quantity: int) -> dict[str, Any]:
        """Order pieces of an item."""
        self._take(item, quantity)
        record = {"item": item, "quantity": quantity, "city": None, "status": "New"}
        return {"order": self.add("orders", record)}

    @tool
    def track_order(self, order: str) -> dict[str, Any]:
        """Tell the status of an order."""
        return {"status": self.record("orders", order)["status"]}

    @tool
    def change_order(self, order: str, quantity: int) -> dict[str, Any]:
        """Change the quantity of an order."""
        record = self._new(order)
        self._take(record["item"], quantity, returned=record["quantity"])
        record["quantity"] = quantity
        return {"quantity": quantity}

    @tool
    def ship_order(self, order: str, city: str) -> dict[str, Any]:
        """Ship an order to a city."""
        record = self._new(order)
        record.update(city=city, status="Shipped")
        return {"status": "Shipped"}

    @tool
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
