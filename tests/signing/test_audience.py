import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.domain.condition import Facts
from tellfirst.domain.message import Rendered
from tellfirst.signing.audience import address_digest, content_digest, facts_digest, leaf, page_digest, root

KEY = bytes(range(32))
LEAF_FIELDS = ("customer", "subject_key", "channel", "locale", "timezone", "address", "facts", "content")

rows = st.fixed_dictionaries({field: st.text(max_size=6) for field in LEAF_FIELDS})
audiences = st.lists(st.lists(rows, max_size=4), max_size=4)
facts = st.dictionaries(
    st.text(max_size=4), st.none() | st.booleans() | st.integers() | st.text(max_size=4), max_size=4
)


def root_of(pages: list[list[dict[str, str]]]) -> str:
    return root([page_digest([leaf(**row) for row in page]) for page in pages])


@given(audiences, audiences)
def test_two_audiences_have_one_root_only_when_they_are_the_same(
    one: list[list[dict[str, str]]], other: list[list[dict[str, str]]]
) -> None:
    assert (root_of(one) == root_of(other)) == (one == other)


@given(audiences, st.data())
def test_any_change_of_a_field_the_order_or_the_number_changes_the_root(
    pages: list[list[dict[str, str]]], data: st.DataObject
) -> None:
    before = root_of(pages)
    assert root_of([*pages, []]) != before
    full = [at for at, page in enumerate(pages) if page]
    if not full:
        return
    at = data.draw(st.sampled_from(full))
    page = pages[at]
    row = data.draw(st.integers(0, len(page) - 1))

    def with_page(new: list[dict[str, str]]) -> str:
        return root_of([*pages[:at], new, *pages[at + 1 :]])

    for field in LEAF_FIELDS:
        assert with_page([*page[:row], {**page[row], field: page[row][field] + "x"}, *page[row + 1 :]]) != before
    assert with_page([*page, page[row]]) != before
    assert with_page(page[:row] + page[row + 1 :]) != before
    assert root_of(pages[:at] + pages[at + 1 :]) != before
    for turned, same in ((with_page(page[::-1]), page == page[::-1]), (root_of(pages[::-1]), pages == pages[::-1])):
        assert (turned == before) == same
    # Moving a row over the edge of a page is another audience too.
    assert root_of([*pages[:at], page[:1], page[1:], *pages[at + 1 :]]) != before


def test_neighbouring_fields_do_not_run_into_each_other() -> None:
    one = leaf(customer="ab", subject_key="c", channel="", locale="", timezone="", address="", facts="", content="")
    other = leaf(customer="a", subject_key="bc", channel="", locale="", timezone="", address="", facts="", content="")
    assert one != other
    assert content_digest(Rendered(subject="a", body="b")) != content_digest(Rendered(body="ab"))
    assert address_digest(KEY, "sms", "x") != address_digest(KEY, "sm", "sx")


def test_a_leaf_a_page_and_a_root_never_stand_for_each_other() -> None:
    assert len({page_digest([]), root([]), facts_digest({}), page_digest(["a"]), root(["a"])}) == 5
    assert page_digest([root(["a"])]) != root([page_digest(["a"])])


@given(facts, facts)
def test_facts_have_one_digest_whatever_their_order(one: Facts, other: Facts) -> None:
    def typed(given: Facts) -> set[tuple[str, str, object]]:
        return {(name, type(value).__name__, value) for name, value in given.items()}

    assert (facts_digest(one) == facts_digest(other)) == (typed(one) == typed(other))
    assert facts_digest(dict(reversed(one.items()))) == facts_digest(one)


def test_facts_know_numbers_from_texts_and_truth() -> None:
    values = (1, True, "1", None, "", 0, False, "null")
    assert len({facts_digest({"a": value}) for value in values}) == len(values)


def test_an_address_digest_is_keyed_and_bound_to_its_channel() -> None:
    digest = address_digest(KEY, "sms", "+15550100123")
    expected = hmac.new(KEY, b'["tellfirst.address.v1","sms","+15550100123"]', hashlib.sha256).hexdigest()
    assert digest == expected
    assert digest != address_digest(KEY[::-1], "sms", "+15550100123")
    assert digest != address_digest(KEY, "whatsapp", "+15550100123")
    assert digest != address_digest(KEY, "sms", "+15550100124")


def test_a_key_that_can_be_guessed_is_refused() -> None:
    for weak in (b"", b"secret"):
        with pytest.raises(ValueError, match="16 bytes"):
            address_digest(weak, "sms", "+15550100123")


def test_the_root_stays_what_it_was() -> None:
    """Signed roots are stored for years: a change of the encoding must be seen, and gets a new tag."""
    row = {field: field for field in LEAF_FIELDS}
    assert root_of([[row, row], [row]]) == "def918513dd496e8e9f175258980301098c543697b9bd57d6338efdb1d8f6c6b"
