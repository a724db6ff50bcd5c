"""A small MCP server for the tests: a bookshop whose state is a JSON file, with bad habits to be switched on.

python bookshop_server.py STATE_FILE [http PORT] [dies] [old] [slow-start] [changes]
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

WORDS = sys.argv[2:]
STATE = Path(sys.argv[1])
READS = ToolAnnotations(read_only_hint=True)
server = MCPServer("bookshop")


def state() -> dict:
    return json.loads(STATE.read_text()) if STATE.exists() else {"books": {}, "orders": {}}


def save(new: dict) -> None:
    STATE.write_text(json.dumps(new))


@server.tool(annotations=READS)
def list_books() -> dict:
    """All books with price and stock."""
    return state()["books"]


@server.tool(annotations=READS)
def list_orders() -> dict:
    """All orders."""
    return state()["orders"]


@server.tool(annotations=READS)
def clock() -> str:
    """The time in nanoseconds, another at every call."""
    return str(time.time_ns())


@server.tool()
def add_book(title: str, price: Annotated[float, Field(gt=0)], stock: int = 1) -> dict:
    """Adds a book and returns its id."""
    now = state()
    number = f"book_{len(now['books']) + 1}"
    now["books"][number] = {"title": title, "price": price, "stock": stock}
    save(now)
    return {"book": number}


@server.tool()
def order_book(book: str, copies: int = 1) -> dict:
    """Orders copies of a book and returns the order's id."""
    now = state()
    if book not in now["books"]:
        raise ToolError(f"there is no book {book}")
    if now["books"][book]["stock"] < copies:
        raise ToolError("not enough copies")
    now["books"][book]["stock"] -= copies
    number = f"order_{len(now['orders']) + 1}"
    now["orders"][number] = {"book": book, "copies": copies}
    save(now)
    return {"order": number}


@server.tool(name="set-price")
def set_price(book: str, price: float) -> dict:
    """Changes a price; its name is one that no call can hold."""
    now = state()
    now["books"][book]["price"] = price
    save(now)
    return {"price": price}


@server.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True))
def close_shop() -> str:
    """Deletes everything."""
    save({"books": {}, "orders": {}})
    return "closed"


@server.tool()
def reset_all() -> str:
    """Back to an empty shop."""
    STATE.unlink(missing_ok=True)
    return "reset"


@server.tool(annotations=READS)
def hang(seconds: float = 3600.0) -> str:
    """Does not answer for a long time."""
    time.sleep(seconds)
    return "late"


@server.tool(annotations=READS)
def big() -> str:
    """Ten megabytes."""
    return "x" * 10_000_000


@server.tool(annotations=READS)
def liar(book: str) -> dict:
    """Says that it needs a book and needs two arguments."""
    raise ToolError("missing a required argument: 'shelf'")


@server.tool()
def crash() -> str:
    """Ends the server."""
    sys.stdout.close()
    import os

    os._exit(3)


if "grows" in WORDS and time.time_ns() % 2:
    server.tool(name="another")(lambda: "new")
if "changes" in WORDS:
    mark = STATE.with_name("started_before")
    if mark.exists():
        server.remove_tool("order_book")
    mark.touch()
if "dies" in WORDS:
    sys.exit("the database is locked")
if "old" in WORDS:
    raise AttributeError("'Server' object has no attribute 'list_tools'")
if "slow-start" in WORDS:
    time.sleep(60)
if "http" in WORDS:
    server.run("streamable-http", host="127.0.0.1", port=int(WORDS[WORDS.index("http") + 1]))
else:
    server.run()
