"""A person calls: the message is a task for somebody of ours, kept within our own walls until it is done."""

from tellfirst.channels.in_app import InAppInbox, Shelf

NAME = "person"
"""The adapter's name, which its receipts bear too."""


class PersonCalls(InAppInbox):
    """Asks somebody of ours to call, by the script that was approved; the list of calls keeps each task once."""

    def __init__(self, calls: Shelf, *, in_flight: int = 50) -> None:
        super().__init__(calls, in_flight=in_flight)
        self.name = NAME
