"""Forms write what Liquid writes, whatever they remember of the rows before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.playbooks.fields import Plain, RenderError
from tellfirst.playbooks.forms import LIMIT, Form, fill
from tellfirst.playbooks.render import compile_part

SOURCE = (
    "{% if a %}{{ a }}, your{% else %}Your{% endif %} order {{ b }}{{ b }}{% unless c %} none {% endunless %}"
    "{% if n > 0 %} and {{ n }} more{% endif %}{% case c %}{% when 'x' %}ex{% else %}{{ c }}{% endcase %} "
    "{{ b | upcase }}{% if a == b %}same{% endif %}{% if d %}{{ d }}{% endif %}{{ e }}{{ d | default: 'none' }}"
)
FORM, PART = Form(compile_part(SOURCE, "a test")), compile_part(SOURCE, "a test")
WORDS = st.sampled_from(["", "x", "Zoë", "0", "{{ b }}", "\0", "a\0e\0", " \n"])
VALUES = st.fixed_dictionaries(
    {name: st.one_of(st.none(), WORDS, st.integers(-1, 2)) for name in "abcde"} | {"n": st.integers(0, 2)}
)


@given(rows=st.lists(VALUES, min_size=1, max_size=8))
def test_a_form_writes_every_row_as_liquid_does(rows: list[dict[str, Plain]]) -> None:
    for row in rows:
        assert FORM.fill(row) == fill(PART, row)


def test_a_name_without_a_value_is_told_by_its_name() -> None:
    form = Form(compile_part("{{ a }} {{ b }}", "a test"))
    assert form.fill({"a": "x", "b": "y"}) == "x y"
    with pytest.raises(RenderError, match="'b' has no value"):
        form.fill({"a": "x"})


def test_values_cannot_make_a_text_longer_than_it_may_be() -> None:
    form = Form(compile_part("{{ a }}{{ a }}", "a test"))
    assert len(form.fill({"a": "x" * (LIMIT // 2)})) == LIMIT
    with pytest.raises(RenderError, match="cannot be rendered within"):
        form.fill({"a": "x" * (LIMIT // 2 + 1)})
