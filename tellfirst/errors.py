"""Every error that Tellfirst raises on purpose.

TellfirstError                 one clear sentence: what, where, how to mend
├── InputError                 something given from outside is malformed            (command line: exit 2)
│   ├── PlaybookError          a playbook file breaks its schema or its lint
│   ├── ConditionError         a condition that cannot be started
│   ├── RowError               a row of an imported file
│   └── SettingsError          configuration that cannot work
├── NotFoundError              a trigger, customer or outreach that does not exist  (exit 1)
├── RefusedError               well-formed, but a rule or the state says no         (exit 1)
│   └── DecisionRefusedError   a decision that does not hold; `.code` says why
├── SourceError                the operational source cannot be read                (exit 1)
└── UnreachableError           the Temporal server or a worker does not answer      (exit 1)
"""


class TellfirstError(Exception):
    """Says what went wrong, where, and how to mend it, in one sentence without personal data."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(f"{where + ': ' if where else ''}{what}{'; ' + remedy if remedy else ''}")


class InputError(TellfirstError):
    """Is malformed input; nothing was done."""

    exit_code = 2


class PlaybookError(InputError):
    """Is a playbook that may not be used: file, key, reason, remedy."""


class ConditionError(InputError):
    """Is a condition that cannot be started."""


class RowError(InputError):
    """Is one row of an imported file that cannot be read."""


class SettingsError(InputError):
    """Is configuration that cannot work."""


class NotFoundError(TellfirstError):
    """Names something that does not exist."""


class RefusedError(TellfirstError):
    """Is a well-formed request that a rule or the present state refuses."""


class DecisionRefusedError(RefusedError):
    """Is a decision that does not hold; `code` is one stable word for machines."""

    def __init__(self, code: str, what: str, *, remedy: str | None = None) -> None:
        self.code = code
        super().__init__(what, remedy=remedy)


class SourceError(TellfirstError):
    """Is an operational source that cannot be read now."""


class UnreachableError(TellfirstError):
    """Is a server or worker that does not answer; what was asked may still happen."""
