"""The suite goes red when a protection is switched off: a few here, all of them by `python -m tests.chaos.seeds`."""

import ast

import pytest

from tests.chaos.seeds import Seed, found, seeded, seeds
from tests.faults.installation import ROOT

FEW = ("gate_opt_out", "nonce", "answer_after_doubt")
GATE = {"file": "tellfirst/policy/gate.py", "test": "tests/policy/test_gate.py::test_with_nothing_wrong_it_may_leave"}


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_a_seed_has_its_place_and_its_test(seed: Seed) -> None:
    assert seed.new != seed.old
    ast.parse(seeded(seed, ROOT))
    file, _, name = seed.test.partition("::")
    there = (ROOT / file).read_text(encoding="utf-8")
    assert not name or f"def {name.partition('[')[0]}(" in there


def test_no_two_seeds_have_one_name() -> None:
    names = [seed.name for seed in seeds()]
    assert len(names) == len(set(names)) >= 30


@pytest.mark.slow
async def test_what_is_switched_off_is_seen_and_nothing_else() -> None:
    first = "    if facts.pause_all:"
    harmless = Seed(name="harmless", promise="", old=first, new=f"{first}  # as before", **GATE)
    stumbles = Seed(name="stumbles", promise="", old=first, new="    if facts.no_such_thing:", **GATE)
    rows = await found([*seeds(FEW), harmless, stumbles])
    assert [row.verdict for row in rows] == ["caught", "caught", "caught", "missed", "broken"], rows
