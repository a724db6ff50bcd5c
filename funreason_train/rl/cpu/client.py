"""Stands in for the Python executable of a Ray worker: `client.py SOCKET SCRIPT ARGUMENTS…`.

Asks the server of `warm.py` to run SCRIPT in a fork of it, with this process's environment, folder and
standard streams, and ends when that fork does. Standard library only and no package import: it must start at
once.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import sys
from typing import Any

_STREAMS = (0, 1, 2)


def send(connection: socket.socket, request: dict[str, Any]) -> None:
    """Sends a request and this process's standard streams."""
    body = json.dumps(request).encode()
    rights = array.array("i", _STREAMS)
    connection.sendmsg([struct.pack("<I", len(body))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    connection.sendall(body)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The request and the three file descriptors that came with it."""
    header, files, _, _ = socket.recv_fds(connection, 4, len(_STREAMS))
    length, body = struct.unpack("<I", header)[0], b""
    while len(body) < length:
        piece = connection.recv(length - len(body))
        if not piece:
            raise ConnectionError("the client went away")
        body += piece
    request: dict[str, Any] = json.loads(body)
    return request, files


def main() -> int:
    """Runs the script through the server and returns its exit code."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(sys.argv[1])
        send(
            connection,
            {"arguments": sys.argv[2:], "environment": dict(os.environ), "folder": os.getcwd()},
        )
        answer = connection.recv(1)
    return answer[0] if answer else 1


if __name__ == "__main__":
    sys.exit(main())
