"""A bank: customers who sign in, their accounts, and money that moves."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, Literal, TypedDict

from ..schemas import Between
from ..tables import TableWorld
from ..tools import ToolError, tool
from .drawing import Draw

AccountKind = Literal["checking", "savings"]
Currency = Literal["EUR", "USD", "GBP"]
TransferStatus = Literal["pending", "sent", "cancelled"]
FreezeReason = Literal["lost_card", "fraud", "travel"]
Amount = Annotated[float, Between(0.01, 1_000_000)]

_SIGNED_IN = ("sign_in",)


class AccountLine(TypedDict):
    """One of several accounts."""

    account: str
    kind: str
    currency: str
    balance: float


class TransferLine(TypedDict):
    """One of several transfers."""

    transfer: str
    payee: str
    amount: float
    status: str


@dataclass
class Receiver:
    """Who gets money.

    Attributes:
        payee_name: The receiver's full name.
        iban: The account number at their bank.
        country: Two letters.
    """

    payee_name: str
    iban: str
    country: str = "DE"


@dataclass
class Instalment:
    """A payment that is repeated every month.

    Attributes:
        payee: Id of the payee.
        amount: In the currency of the account.
        day: Day of the month.
    """

    payee: str
    amount: Amount
    day: Annotated[int, Between(1, 28)] = 1


class Bank(TableWorld):
    """Tables: `customers` {name, pin}, `accounts` {owner, kind, currency, balance, frozen}, `payees`
    {owner, payee_name, iban, country}, `transfers` {account, payee, amount, memo, status}, `orders`
    {account, payee, amount, day}, `unlocks` {account}, `session` {customer}."""

    name = "bank"
    tables = ("customers", "accounts", "payees", "transfers", "orders", "unlocks", "session")

    @tool(returns={"customer": str})
    def sign_in(self, name: str, pin: str) -> dict[str, Any]:
        """Sign a customer in to online banking, which everything else needs.

        Args:
            name: The customer's full name.
            pin: Four digits.
        """
        customer = self.find("customers", name=name)
        if self.state["customers"][customer]["pin"] != pin:
            raise ToolError("the pin is wrong")
        self.state["session"] = {"customer": customer}
        return {"customer": customer}

    @tool(requires=_SIGNED_IN, ends=_SIGNED_IN, returns={"signed_out": bool})
    def sign_out(self) -> dict[str, Any]:
        """Sign the customer out."""
        self.state["session"] = {}
        return {"signed_out": True}

    @tool(requires=_SIGNED_IN, returns={"accounts": list[AccountLine]})
    def list_accounts(self, kind: AccountKind | None = None) -> dict[str, Any]:
        """List the customer's accounts with their balances.

        Args:
            kind: Only accounts of this kind.
        """
        lines = [
            {"account": key, "kind": one["kind"], "currency": one["currency"], "balance": one["balance"]}
            for key, one in self.state["accounts"].items()
            if one["owner"] == self._customer() and kind in (None, one["kind"])
        ]
        return {"accounts": lines}

    @tool(requires=_SIGNED_IN, returns={"balance": float, "currency": str, "frozen": bool})
    def get_account_balance(self, account: str) -> dict[str, Any]:
        """Tell the balance of an account.

        Args:
            account: Id of the account.
        """
        one = self._account(account)
        return {"balance": one["balance"], "currency": one["currency"], "frozen": one["frozen"]}

    @tool(requires=_SIGNED_IN, returns={"account": str})
    def open_account(self, kind: AccountKind, currency: Currency = "EUR") -> dict[str, Any]:
        """Open another account, empty at first.

        Args:
            kind: What it is for.
            currency: Of the account.
        """
        record = {"owner": self._customer(), "kind": kind, "currency": currency, "balance": 0.0}
        return {"account": self.add("accounts", {**record, "frozen": False})}

    @tool(requires=_SIGNED_IN, returns={"closed": bool})
    def close_account(self, account: str) -> dict[str, Any]:
        """Close an account, which has to be empty.

        Args:
            account: Id of the account.
        """
        one = self._account(account)
        if one["balance"] != 0:
            raise ToolError(f"{account} still holds {one['balance']} {one['currency']}")
        del self.state["accounts"][account]
        return {"closed": True}

    @tool(requires=_SIGNED_IN, returns={"payee": str})
    def add_payee(self, receiver: Receiver) -> dict[str, Any]:
        """Save someone whom the customer wants to pay.

        Args:
            receiver: Who it is.
        """
        record = {"owner": self._customer(), "payee_name": receiver.payee_name, "iban": receiver.iban}
        return {"payee": self.add("payees", {**record, "country": receiver.country})}

    @tool(requires=_SIGNED_IN, returns={"payee": str, "iban": str})
    def find_payee(self, payee_name: str) -> dict[str, Any]:
        """Look up a saved payee.

        Args:
            payee_name: The payee's full name.
        """
        payee = self.find("payees", owner=self._customer(), payee_name=payee_name)
        return {"payee": payee, "iban": self.state["payees"][payee]["iban"]}

    @tool(requires=_SIGNED_IN, returns={"transfer": str, "balance": float})
    def transfer_money(
        self, account: str, payee: str, amount: Amount, memo: str | None = None, instant: bool = False
    ) -> dict[str, Any]:
        """Send money to a payee. It can be cancelled until it is sent.

        Args:
            account: Id of the account that pays.
            payee: Id of a saved payee.
            amount: In the currency of the account.
            memo: What the receiver reads.
            instant: Whether it is sent at once and cannot be cancelled.
        """
        self._payee(payee)
        one = self._paying(account, amount)
        status: TransferStatus = "sent" if instant else "pending"
        record = {"account": account, "payee": payee, "amount": amount, "memo": memo, "status": status}
        return {"transfer": self.add("transfers", record), "balance": one["balance"]}

    @tool(requires=_SIGNED_IN, returns={"source_balance": float, "target_balance": float})
    def move_money(self, source: str, target: str, amount: Amount) -> dict[str, Any]:
        """Move money between two of the customer's accounts of one currency.

        Args:
            source: Id of the account that pays.
            target: Id of the account that receives.
            amount: In the currency of both.
        """
        theirs = self._account(target)
        if source == target or self._account(source)["currency"] != theirs["currency"]:
            raise ToolError("two different accounts of one currency are needed")
        mine = self._paying(source, amount)
        theirs["balance"] = round(theirs["balance"] + amount, 2)
        return {"source_balance": mine["balance"], "target_balance": theirs["balance"]}

    @tool(requires=_SIGNED_IN, returns={"transfers": list[TransferLine]})
    def list_transfers(
        self, account: str, status: TransferStatus | None = None, limit: Annotated[int, Between(1, 50)] = 10
    ) -> dict[str, Any]:
        """List the latest transfers from an account.

        Args:
            account: Id of the account.
            status: Only transfers that are so.
            limit: How many at most.
        """
        self._account(account)
        lines = [
            {"transfer": key, "payee": one["payee"], "amount": one["amount"], "status": one["status"]}
            for key, one in self.state["transfers"].items()
            if one["account"] == account and status in (None, one["status"])
        ]
        return {"transfers": lines[-limit:]}

    @tool(requires=_SIGNED_IN, returns={"status": str, "balance": float})
    def cancel_transfer(self, transfer: str) -> dict[str, Any]:
        """Cancel a transfer that is still pending; the money comes back.

        Args:
            transfer: Id of the transfer.
        """
        one = self.record("transfers", transfer)
        account = self._account(one["account"])
        if one["status"] != "pending":
            raise ToolError(f"{transfer} is {one['status']}")
        one["status"] = "cancelled"
        account["balance"] = round(account["balance"] + one["amount"], 2)
        return {"status": "cancelled", "balance": account["balance"]}

    @tool(requires=_SIGNED_IN, returns={"orders": list[str], "total": float})
    def schedule_payments(self, account: str, payments: list[Instalment]) -> dict[str, Any]:
        """Set up standing orders, paid every month.

        Args:
            account: Id of the account that pays.
            payments: What is paid to whom, and when.

        Returns:
            Ids of the standing orders, and what they cost a month.
        """
        self._account(account)
        if not payments:
            raise ToolError("at least one payment is needed")
        made = []
        for one in payments:
            self._payee(one.payee)
            record = {"account": account, "payee": one.payee, "amount": one.amount, "day": one.day}
            made.append(self.add("orders", record))
        return {"orders": made, "total": round(sum(one.amount for one in payments), 2)}

    @tool(requires=_SIGNED_IN, returns={"stopped": bool})
    def stop_order(self, order: str) -> dict[str, Any]:
        """Stop a standing order.

        Args:
            order: Id of the standing order.
        """
        self._account(self.record("orders", order)["account"])
        del self.state["orders"][order]
        return {"stopped": True}

    @tool(requires=_SIGNED_IN, returns={"frozen": bool})
    def freeze_account(self, account: str, reason: FreezeReason) -> dict[str, Any]:
        """Freeze an account, so that nothing leaves it.

        Args:
            account: Id of the account.
            reason: Why.
        """
        self._account(account).update(frozen=True, reason=reason)
        return {"frozen": True}

    @tool(requires=_SIGNED_IN, returns={"unlock_code": str})
    def request_unlock_code(self, account: str) -> dict[str, Any]:
        """Get the code that unfreezes a frozen account.

        Args:
            account: Id of the account.
        """
        if not self._account(account)["frozen"]:
            raise ToolError(f"{account} is not frozen")
        return {"unlock_code": self.add("unlocks", {"account": account})}

    @tool(requires=_SIGNED_IN, returns={"frozen": bool})
    def unfreeze_account(self, account: str, unlock_code: str) -> dict[str, Any]:
        """Unfreeze an account.

        Args:
            account: Id of the account.
            unlock_code: As `request_unlock_code` tells it.
        """
        one = self._account(account)
        if self.record("unlocks", unlock_code)["account"] != account:
            raise ToolError("the code is for another account")
        del self.state["unlocks"][unlock_code]
        one["frozen"] = False
        return {"frozen": False}

    def _customer(self) -> str:
        return str(self.state["session"].get("customer"))

    def _account(self, account: str) -> dict[str, Any]:
        one = self.record("accounts", account)
        if one["owner"] != self._customer():
            raise ToolError(f"{account} belongs to another customer")
        return one

    def _payee(self, payee: str) -> None:
        if self.record("payees", payee)["owner"] != self._customer():
            raise ToolError(f"{payee} belongs to another customer")

    def _paying(self, account: str, amount: float) -> dict[str, Any]:
        """Takes money out of an account that may pay."""
        one = self._account(account)
        if one["frozen"]:
            raise ToolError(f"{account} is frozen")
        if one["balance"] < amount:
            raise ToolError(f"{account} holds only {one['balance']} {one['currency']}")
        one["balance"] = round(one["balance"] - amount, 2)
        return one

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """Customers with two accounts each, of which some are frozen, and their payees."""
        draw = Draw(random, size)
        names = draw.people(2 * draw.size)
        customers = draw.table(
            "customers", "C", ({"name": name, "pin": draw.code(4)} for name in names[: draw.size])
        )
        accounts = [
            {
                **{"owner": owner, "kind": kind, "currency": draw.one(("EUR", "EUR", "USD"))},
                **{"balance": draw.amount(50, 5000), "frozen": draw.random.random() < 0.2},
            }
            for owner in customers
            for kind in ("checking", "savings")
        ]
        draw.table("accounts", "AC", accounts, spare=draw.size + 2)
        payees = [
            {"owner": owner, "payee_name": name, "iban": f"DE{draw.code(10)}", "country": "DE"}
            for owner, name in zip(customers, names[draw.size :], strict=True)
        ]
        draw.table("payees", "PY", payees, spare=draw.size + 4)
        for name, prefix in (("transfers", "TR"), ("orders", "SO"), ("unlocks", "")):
            draw.table(name, prefix, (), spare=draw.size + 6)
        return draw.config
