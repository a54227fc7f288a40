"""The least SMTP that a test server needs: it keeps every mail, and refuses or breaks off where it is told to."""

import asyncio
import email
from email.message import EmailMessage, Message
from email.policy import default


class MailBox(asyncio.Protocol):
    """Is one connection of a server."""

    def __init__(self, server: "MailServer") -> None:
        self.server, self.buffer, self.inside = server, b"", False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.say("220 here")

    def say(self, line: str) -> None:
        self.transport.write(f"{line}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n" in self.buffer:
            if self.inside:
                text, found, rest = self.buffer.partition(b"\r\n.\r\n")
                if not found:
                    return
                self.inside, self.buffer = False, rest
                self.take(text + b"\r\n")
                continue
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            self.answer(line.decode().upper().split(" ")[0])

    def answer(self, verb: str) -> None:
        if verb == "RCPT" and self.server.refusals:
            self.say(self.server.refusals.pop(0))
        elif verb == "DATA":
            self.inside = True
            self.say("354 go on")
        elif verb == "QUIT":
            self.say("221 bye")
            self.transport.close()
        else:
            self.say("250 fine")

    def take(self, text: bytes) -> None:
        message: Message = email.message_from_bytes(text, policy=default)
        assert isinstance(message, EmailMessage)
        self.server.mails.append(message)
        if self.server.breaks:
            self.server.breaks -= 1
            self.transport.abort()
        else:
            self.say("250 kept")


class MailServer:
    """Keeps mails; answers recipients with `refusals` in turn, and `breaks` off so many times after it has a mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusals: list[str] = []
        self.breaks = 0
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(lambda: MailBox(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server
