"""What a new version of a playbook changes, and what its approver goes through."""

from difflib import unified_diff

from tellfirst.playbooks.schema import Playbook


def points(playbook: Playbook) -> tuple[str, ...]:
    """Returns the points of the checklist, such as `tone: It was read aloud.`; none for a playbook without one."""
    if playbook.checklist is None:
        return ()
    return tuple(f"{name}: {said}" for name, said in playbook.checklist)


def data_changed(old: Playbook | None, new: Playbook) -> bool:
    """Returns whether other data than before may reach a message; without a version before, any data is other."""
    return new.data != ({} if old is None else old.data)


def difference(old: str, new: str) -> list[str]:
    """Returns what lies between two texts as the lines of a unified diff; none when they are alike."""
    lines = unified_diff(old.splitlines(), new.splitlines(), "live", "proposed", lineterm="")
    return list(lines)
