"""Playbooks are checked and looked at before anyone is told."""

from pathlib import Path

from tellfirst.playbooks.loader import LIBRARY
from tests.cli.conftest import Shell


def test_the_whole_library_is_checked(shell: Shell) -> None:
    done = shell("playbooks", "check")
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == len(list(LIBRARY.rglob("*.toml")))
    assert all(": ok (" in line for line in done.out.splitlines())


def test_each_file_is_ok_or_told_what_to_mend(shell: Shell) -> None:
    good = next(LIBRARY.rglob("late_delivery.toml"))
    text = good.read_text()
    no_title = shell.file("late_delivery.toml", text.replace('title = "An order', 'titel = "An order'))
    no_toml = shell.file("other.toml", "id = ")
    done = shell("playbooks", "check", good, no_title, no_toml, shell.folder / "none.toml")
    assert done.code == 2
    assert f"{good}: ok (late_delivery, version " in done.out
    lines = done.err.splitlines()
    assert lines[0].startswith(f"{no_title}: 'titel' is not a key of a playbook; correct its spelling")
    assert lines[1].startswith(f"{no_toml}: is not TOML")
    assert "none.toml: cannot be read: No such file or directory" in lines[2]
    assert lines[3] == "3 playbooks may not be used; mend the files named above"


def test_a_folder_is_checked_file_by_file(shell: Shell) -> None:
    done = shell("playbooks", "check", LIBRARY)
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == len(list(LIBRARY.rglob("*.toml")))
    empty = shell.folder / "empty"
    empty.mkdir()
    refused = shell("playbooks", "check", empty)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"{empty}: holds no playbook; its files end in .toml\n"


def test_two_files_with_one_id_are_seen(shell: Shell) -> None:
    more = shell.folder / "more"
    more.mkdir()
    (more / "late_delivery.toml").write_text(next(LIBRARY.rglob("late_delivery.toml")).read_text())
    shell.environment["TELLFIRST_PLAYBOOKS"] = str(more)
    done = shell("playbooks", "check")
    assert done.code == 2
    assert "'late_delivery' is also the id of" in done.err


def test_a_folder_that_is_not_there_is_named(shell: Shell) -> None:
    shell.environment["TELLFIRST_PLAYBOOKS"] = str(Path("/none"))
    done = shell("playbooks", "check")
    assert (done.code, done.err) == (2, "/none: is not a folder; check the path of the playbooks\n")


def test_playbooks_are_listed(shell: Shell) -> None:
    listed = shell("playbooks", "list").out.splitlines()
    assert [line.split()[0] for line in listed] == ["id", "late_delivery", "payment_failed", "service_disruption"]
    document = shell("playbooks", "list", "--json").document
    assert [one["id"] for one in document] == ["late_delivery", "payment_failed", "service_disruption"]
    assert set(document[0]) == {"id", "title", "industry", "reason_code", "channels", "owner", "version"}


def test_it_is_shown_that_a_playbook_does_not_wait_for_the_morning(shell: Shell) -> None:
    assert "leaves      at any hour" in shell("playbooks", "show", "service_disruption").out
    assert "at any hour" not in shell("playbooks", "show", "late_delivery").out


def test_every_text_of_a_playbook_is_shown_with_its_owners_and_promises(shell: Shell) -> None:
    done = shell("playbooks", "show", "late_delivery")
    assert done.code == 0
    for words in (
        "owner       Delivery experience; accountable: Head of customer service; team: Delivery support",
        "approved by Service lead, within 1 day or nobody is told",
        "measured by contacts about where_is_my_order within 7 days; hold-out 10%",
        "update-1    promised 2 days after planning, prepared 2 h earlier",
        "initial, sms, de",
        "Wednesday 23 September, 09:00 UTC, even if there is no news.",
    ):
        assert words in done.out
    samples = shell("playbooks", "show", "late_delivery", "--json").document["samples"]
    assert {(s["step"], s["channel"], s["locale"]) for s in samples} == {
        (step, channel, locale)
        for step in ("initial", "update-1", "resolved")
        for channel in ("sms", "whatsapp", "email", "in_app")
        for locale in ("en", "de")
    }
    assert all(sample["body"] for sample in samples)


def test_a_playbook_that_is_not_there_is_named(shell: Shell) -> None:
    done = shell("playbooks", "show", "parcel_lost")
    assert (done.code, done.out) == (1, "")
    assert "there is no playbook 'parcel_lost'; the known ones: late_delivery" in done.err
