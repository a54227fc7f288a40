"""The anchor file: lines about the audit log, kept where nobody who can write to the database can write."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from tellfirst.errors import SourceError


@dataclass(frozen=True)
class AnchorFile:
    """Is a file of anchors, only ever added to."""

    path: Path

    def add(self, line: str) -> None:
        """Adds a line and returns once it is on the disk; raises SourceError when it cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                # One write: what two processes add never mixes. After a line cut off by a power cut begins a new one.
                whole = b"\n" * self._is_torn(handle) + line.encode()
                if os.write(handle, whole) < len(whole):
                    raise OSError(errno.ENOSPC, "the line was cut off")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise SourceError(
                f"the anchor of the audit log cannot be written ({type(error).__name__})",
                where=str(self.path),
                remedy="check TELLFIRST_AUDIT_ANCHOR; nothing was decided or changed",
            ) from None

    def read(self) -> str:
        """Returns the whole file, empty when there is none; raises SourceError when it cannot be read."""
        try:
            return self.path.read_text(encoding="ascii", errors="replace") if self.path.exists() else ""
        except OSError as error:
            raise SourceError(
                f"the anchor of the audit log cannot be read ({type(error).__name__})", where=str(self.path)
            ) from None

    @staticmethod
    def _is_torn(handle: int) -> bool:
        size = os.fstat(handle).st_size
        return size > 0 and os.pread(handle, 1, size - 1) != b"\n"
