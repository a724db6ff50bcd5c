"""What users, teachers and assistants of the embedded tasks say: templates, and nothing else.

A slot is named like the tool's parameter: `{customer}` becomes `customer C12`, `customer Alwin` or `that
customer`; `{level}` becomes `High`. Every phrase is an imperative, which an opener turns into a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Phrases:
    """How a user asks for one tool.

    Attributes:
        full: With every value the tool needs.
        without: Parameter -> the same with the value of that parameter left out.
    """

    full: tuple[str, ...]
    without: dict[str, tuple[str, ...]] = field(default_factory=dict)


TOOLS: Final[dict[str, Phrases]] = {
    # helpdesk
    "find_customer": Phrases(
        ("tell me the id of the customer named {name}", "find out which id {name} has as customer")
    ),
    "get_plan": Phrases(
        ("tell me the plan of {customer}", "check which plan {customer} has"),
        {"customer": ("tell me the plan of a customer", "check which plan a customer has")},
    ),
    "set_plan": Phrases(
        ("move {customer} to the {plan} plan", "switch the plan of {customer} to {plan}"),
        {"plan": ("move {customer} to another plan", "switch the plan of {customer}")},
    ),
    "open_ticket": Phrases(
        ("open a {topic} ticket for {customer}", "start a ticket about {topic} for {customer}"),
        {"topic": ("open a ticket for {customer}", "start a ticket for {customer}")},
    ),
    "last_ticket": Phrases(
        ("tell me the id of the last ticket of {customer}", "find out which ticket of {customer} came last")
    ),
    "get_ticket": Phrases(
        ("show me {ticket}", "tell me how {ticket} is doing"),
        {"ticket": ("show me a ticket", "tell me how a ticket is doing")},
    ),
    "assign_ticket": Phrases(
        ("assign {ticket} to {agent}", "let {agent} take care of {ticket}"),
        {"agent": ("assign {ticket} to an agent", "let an agent take care of {ticket}")},
    ),
    "set_level": Phrases(
        ("give {ticket} the level {level}", "set the priority of {ticket} to {level}"),
        {"level": ("give {ticket} another level", "set the priority of {ticket}")},
    ),
    "change_topic": Phrases(
        ("file {ticket} under {topic}", "change the topic of {ticket} to {topic}"),
        {"topic": ("file {ticket} under another topic", "change the topic of {ticket}")},
    ),
    "close_ticket": Phrases(
        ("close {ticket}", "mark {ticket} as solved"),
        {"ticket": ("close a ticket", "mark a ticket as solved")},
    ),
    # shop
    "find_item": Phrases(
        ("tell me the id of the item named {name}", "find out which id the {name} has as item")
    ),
    "get_price": Phrases(
        ("tell me the price of {item}", "check what {item} costs"),
        {"item": ("tell me the price of an item", "check what an item costs")},
    ),
    "set_price": Phrases(
        ("set the price of {item} to {price}", "let {item} cost {price} from now on"),
        {"price": ("set the price of {item}", "let {item} cost less from now on")},
    ),
    "get_stock": Phrases(
        ("tell me how many pieces of {item} are left", "check the stock of {item}"),
        {"item": ("tell me how many pieces of an item are left", "check the stock of an item")},
    ),
    "restock_item": Phrases(
        ("add {quantity} pieces to the stock of {item}", "restock {item} with {quantity} pieces"),
        {"quantity": ("add pieces to the stock of {item}", "restock {item}")},
    ),
    "order_item": Phrases(
        ("order {quantity} pieces of {item}", "buy {item}, {quantity} times"),
        {"quantity": ("order a few pieces of {item}", "buy some of {item}")},
    ),
    "track_order": Phrases(
        ("track {order}", "tell me where {order} is"),
        {"order": ("track an order", "tell me where an order is")},
    ),
    "change_order": Phrases(
        ("change {order} to {quantity} pieces", "make it {quantity} pieces in {order}"),
        {"quantity": ("change the quantity of {order}", "make it more pieces in {order}")},
    ),
    "ship_order": Phrases(
        ("ship {order} to {city}", "send {order} off to {city}"),
        {"city": ("ship {order}", "send {order} off")},
    ),
    "cancel_order": Phrases(
        ("cancel {order}", "call off {order}"),
        {"order": ("cancel an order", "call off an order")},
    ),
    # travel
    "find_station": Phrases(
        ("tell me the id of the station of {city}", "find out which id {city} has as station")
    ),
    "get_platforms": Phrases(
        ("tell me how many platforms {station} has", "count the platforms of {station}"),
        {"station": ("tell me how many platforms a station has", "count the platforms of a station")},
    ),
    "next_train": Phrases(
        ("tell me the id of the next train from {station}", "find out which train leaves {station} next")
    ),
    "get_fare": Phrases(
        ("tell me the fare of {train}", "check what a seat on {train} costs"),
        {"train": ("tell me the fare of a train", "check what a seat on a train costs")},
    ),
    "get_delay": Phrases(
        ("tell me how late {train} is", "check the delay of {train}"),
        {"train": ("tell me how late a train is", "check the delay of a train")},
    ),
    "book_seat": Phrases(
        ("book a seat on {train} for {passenger}", "get {passenger} a seat on {train}"),
        {"passenger": ("book a seat on {train}", "get a passenger a seat on {train}")},
    ),
    "get_booking": Phrases(
        ("show me {booking}", "look at {booking}"),
        {"booking": ("show me a booking", "look at a booking")},
    ),
    "change_cabin": Phrases(
        ("change {booking} to the {cabin} cabin", "put {booking} into {cabin} class"),
        {"cabin": ("change the cabin of {booking}", "put {booking} into another class")},
    ),
    "rename_booking": Phrases(
        ("hand {booking} over to {passenger}", "put {booking} in the name of {passenger}"),
        {"passenger": ("hand {booking} over to someone else", "put {booking} in another name")},
    ),
    "cancel_booking": Phrases(
        ("cancel {booking}", "call off {booking}"),
        {"booking": ("cancel a booking", "call off a booking")},
    ),
}

OPENERS: Final = (
    "Please {}.",
    "I need you to {}.",
    "Can you {}?",
    "I want you to {}.",
    "Could you {}, please?",
)
NEXT_OPENERS: Final = ("Now {}.", "And {}, please.", "Then {}.", "Next, {}.", "Thanks, now {}.")
PAIRS: Final = ("{} and {}", "{} and also {}", "{}, and {}")

ASK: Final = ("Which {} should I take?", "Please tell me the {}.", "I need to know the {}.")
ANSWER: Final = ("{}.", "Take {}.", "It is {}.", "{}, please.")
NO_TOOL: Final = (
    "Sorry, none of my tools can do that.",
    "I have no tool for that.",
    "That is beyond the tools I have.",
)
DONE: Final = ("Done: {}.", "All set: {}.", "Here it is: {}.")

_CALL: Final = ("All is known: {tool}.", "Nothing is missing: {tool}.")
THOUGHTS: Final = {
    "call": _CALL,
    "lookup": ("The id first: {tool}.", "Its id is not known: {tool}."),
    "use": _CALL,  # choosing the tool is the same task, whether or not a lookup came before
    "parallel": ("Two requests, two calls.", "Both at once."),
    "ask": ("The {slot} is missing.", "Nobody gave the {slot}."),
    "no_tool": ("No tool fits.", "Nothing here can do it."),
    "done": ("That is all.", "Done."),
}
"""Kind of response to what the teacher thinks before it; `{tool}` is a tool's name, `{slot}` a parameter."""
