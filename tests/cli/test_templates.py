"""The words to register with WhatsApp are printed, with what stands in each place and what is still missing."""

import pytest

from tests.cli.conftest import Shell

CONTENT = "HX" + "c" * 32


def test_the_words_to_register_are_printed(shell: Shell) -> None:
    done = shell("playbooks", "templates", "late_delivery")
    assert done.code == 0
    for words in (
        "late_delivery_initial_en (en, late_delivery): not registered yet",
        "Your order {{1}} was due on {{2}} and is late, sorry.",
        "{{4}} is promise",
        "late_delivery_refund_de (de, late_delivery): not registered yet",
        "late_delivery_survey_de (de, late_delivery): not registered yet",
    ):
        assert words in done.out
    assert done.err == "14 templates without a ContentSid in TELLFIRST_WHATSAPP_TEMPLATES\n"


def test_a_registered_template_is_told_with_its_contentsid(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shell.file("templates.toml", f'late_delivery_initial_en = "{CONTENT}"\n')
    monkeypatch.setenv("TELLFIRST_WHATSAPP_TEMPLATES", str(path))
    found = {words["template"]: words for words in shell("playbooks", "templates", "--json").document}
    assert len(found) == 14
    assert found["late_delivery_initial_en"]["content_sid"] == CONTENT
    assert found["late_delivery_initial_en"]["fields"] == ["order_id", "promised_at", "others", "promise"]
    assert found["late_delivery_initial_de"]["content_sid"] == ""


def test_a_playbook_without_whatsapp_has_none(shell: Shell) -> None:
    done = shell("playbooks", "templates", "payment_failed")
    assert (done.code, done.out, done.err) == (0, "no playbook speaks on whatsapp\n", "")
