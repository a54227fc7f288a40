"""`estimate`: the contract that scripts rely on, the table for people, and files that cannot be compared."""

from pathlib import Path

import pytest

from tests.cli.conftest import Done, Shell

ROOT = Path(__file__).parents[2]
HILLSTROM = ROOT.parent / "shared/data/hillstrom/hillstrom.csv"
HEADER = "Account,Arm,Contacted\n"


def rows(**arms: tuple[int, int]) -> str:
    """Returns a file with (rows, of them contacted) per arm; each row is an account of its own."""
    lines = [f"{arm}-{place},{arm},{int(place < x)}" for arm, (n, x) in arms.items() for place in range(n)]
    return HEADER + "\n".join(lines) + "\n"


def estimated(
    shell: Shell, content: str | Path, *words: str, control: str = "none", outcome: str = "contacted"
) -> Done:
    file = content if isinstance(content, Path) else shell.file("trial.csv", content)
    return shell("estimate", file, "--arm", "arm", "--control", control, "--outcome", outcome, *words)


USUAL = rows(told=(900, 61), none=(100, 12))


@pytest.mark.skipif(not HILLSTROM.exists(), reason="the Hillstrom data is not there (../shared/data/hillstrom)")
def test_a_real_experiment(shell: Shell) -> None:
    thirds = [f"--expect={arm}=1/3" for arm in ("No E-Mail", "Mens E-Mail", "Womens E-Mail")]
    given = ["estimate", HILLSTROM, "--arm", "segment", "--control", "No E-Mail", "--outcome", "visit", *thirds]
    found = shell(*given, "--json").document
    mens = {arm["arm"]: arm for arm in found["arms"]}["Mens E-Mail"]
    assert (mens["difference"], mens["ci_low"], mens["ci_high"]) == pytest.approx(
        (0.076590, 0.069953, 0.083227), abs=5.1e-7
    )
    assert (mens["n"], mens["events"]) == (21_307, 3_894)
    assert found["control"] == {"n": 21_306, "events": 2_262, "rate": pytest.approx(0.106167, abs=1e-6)}
    assert found["grade"] == "A"
    assert found["srm_p"] == pytest.approx(0.9037, abs=1e-4)
    assert "Mens E-Mail    21,307  3,894  18.28%    +7.66 pp  +7.00 pp to +8.32 pp" in shell(*given).out


def test_the_document_is_the_contracts(shell: Shell) -> None:
    found = estimated(shell, USUAL, "--json").document
    assert list(found) == ["control", "arms", "srm_p", "grade"]
    assert found["control"] == {"n": 100, "events": 12, "rate": 0.12}
    [told] = found["arms"]
    assert list(told) == [
        *("arm", "n", "events", "rate", "difference", "ci_low", "ci_high"),
        *("relative", "relative_ci_low", "relative_ci_high"),
    ]
    assert told["difference"] == pytest.approx(61 / 900 - 0.12)
    assert told["relative"] == pytest.approx(told["difference"] / 0.12)
    assert (found["srm_p"], found["grade"]) == (None, "B")


def test_people_get_a_table_and_sentences(shell: Shell) -> None:
    done = estimated(shell, USUAL, "--expect", "told=0.9", "--expect", "none=0.1")
    assert (done.code, done.err) == (0, "")
    header, none, told, split, grade, last = done.out.splitlines()
    assert header.split() == [
        *("arm", "units", "contacted", "rate", "difference", "95", "%", "interval"),
        *("relative", "95", "%", "interval", "of", "it"),
    ]
    assert none.split()[:4] == ["none", "100", "12", "12.00%"]
    assert told.startswith(
        "told    900         61   6.78%    -5.22 pp  -13.17 pp to +0.10 pp  -43.52 %  -67.70 % to +1.66 %"
    )
    assert split == "probability of such a split: 1"
    assert grade == "grade A: Chance drew the arms, and the split agrees: the intervals bound what each arm changed."
    assert "docs/measurement.md" in last


@pytest.mark.parametrize(
    ("shares", "grade"),
    [
        (["told=0.9", "none=0.1"], "A"),
        (["told=0.9"], "A"),
        (["none=1/10"], "A"),
        (["told=0.5", "none=0.5"], "X"),
        ([], "B"),
    ],
)
def test_the_grade(shell: Shell, shares: list[str], grade: str) -> None:
    found = estimated(shell, USUAL, "--json", *(f"--expect={share}" for share in shares)).document
    assert found["grade"] == grade


def test_a_broken_split_withholds_the_figures(shell: Shell) -> None:
    done = estimated(shell, USUAL, "--expect", "told=0.5")
    assert "pp" not in done.out.partition("probability")[0]
    assert "grade X" in done.out
    [told] = estimated(shell, USUAL, "--expect", "told=0.5", "--json").document["arms"]
    assert told["difference"] is None


def test_rounded_thirds_are_thirds(shell: Shell) -> None:
    three = rows(a=(300, 30), b=(310, 20), none=(305, 30))
    found = estimated(shell, three, "--json", *(f"--expect={arm}=0.33" for arm in ("a", "b", "none"))).document
    assert found["grade"] == "A"


def test_rows_of_an_account_count_as_one(shell: Shell) -> None:
    twice = USUAL + "".join(f"told-{place},told,1\n" for place in range(50, 70))
    [told] = estimated(shell, twice, "--unit", "account", "--json").document["arms"]
    assert (told["n"], told["events"]) == (900, 70)
    [told] = estimated(shell, twice, "--json").document["arms"]
    assert (told["n"], told["events"]) == (920, 81)


def test_an_account_in_two_arms_stays_in_its_first_and_costs_the_grade(shell: Shell) -> None:
    crossed = USUAL + "none-99,told,1\n"
    done = estimated(shell, crossed, "--unit", "account", "--expect", "told=0.9", "--json")
    assert done.err == "1 unit in more than one arm; each counts in the arm that its first row names\n"
    assert done.document["control"]["events"] == 13
    assert done.document["grade"] == "B"


def test_nobody_in_control_has_no_ratio(shell: Shell) -> None:
    done = estimated(shell, rows(told=(50, 5), none=(50, 0)))
    assert "to no bound" not in done.out
    assert done.out.splitlines()[2].rstrip().endswith("+21.36 pp         -  -")


def test_a_name_with_an_equals_sign(shell: Shell) -> None:
    content = rows(none=(50, 5)) + "".join(f"x-{place},mail=2,0\n" for place in range(50))
    assert estimated(shell, content, "--expect", "mail=2=0.5", "--json").document["grade"] == "A"


@pytest.mark.parametrize(
    ("content", "words", "says"),
    [
        (USUAL, ["--expect", "told"], "--expect: an expected split is ARM=SHARE"),
        (USUAL, ["--expect", "told=2"], "between 0 and 1"),
        (USUAL, ["--expect", "told=1/0"], "between 0 and 1"),
        (USUAL, ["--expect", "told=nan"], "between 0 and 1"),
        (USUAL, ["--expect", "told=.5", "--expect", "told=.5"], "each arm once"),
        (USUAL, ["--expect", "tolt=0.9"], "no row is of the arm 'tolt'; the arms are 'none', 'told'"),
        (USUAL, ["--expect", "told=0.9", "--expect", "none=0.2"], "add up to 1.1 instead of 1"),
        (rows(a=(9, 1), b=(9, 1), none=(9, 1)), ["--expect", "a=0.3"], "no share is expected for 'b', 'none'"),
        (USUAL, ["--unit", "household"], "the column 'household' is missing"),
        (rows(told=(9, 1)), [], "no row is of the arm 'none'; its arms are 'told'"),
        (rows(none=(9, 1)), [], "no row is of any other arm than control"),
        (HEADER, [], "there are no rows"),
        ("", [], "is empty"),
        ("Account;Arm;Contacted\n", [], "separated by semicolons"),
        (HEADER + "a-1,told,2\n", [], "trial.csv, line 2: its outcome is neither 0 nor 1"),
        (HEADER + "a-1,told,\n", [], "1 malformed row, so nothing was compared"),
        (HEADER + "a-1,,1\n", [], "line 2: names no arm"),
        (HEADER + ",told,1\n", ["--unit", "account"], "line 2: names no unit"),
        (HEADER + "".join(f"x,person-{n},0\n" for n in range(21)), [], "more than 20 different values"),
    ],
)
def test_what_cannot_be_compared_is_refused(shell: Shell, content: str, words: list[str], says: str) -> None:
    done = estimated(shell, content, *words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "person-" not in done.err


def test_a_file_that_is_not_there(shell: Shell) -> None:
    done = estimated(shell, shell.folder / "none.csv")
    assert done.code == 2
    assert "cannot be read" in done.err
