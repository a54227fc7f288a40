"""Parameters of rules: typed values, bound and never pasted into SQL."""

import re
from collections.abc import Mapping

from tellfirst.domain.condition import FactValue
from tellfirst.errors import InputError
from tellfirst.playbooks.schema import Parameter

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_LARGEST = 2**63


def resolve_parameters(declared: Mapping[str, Parameter], given: Mapping[str, str | FactValue]) -> dict[str, FactValue]:
    """Returns every declared parameter with its given or default value, typed.

    Raises InputError naming the parameter and what is allowed when one is unknown or of the wrong type.
    """
    for name in given:
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise InputError(f"the rule has no parameter '{name}'", remedy=f"its parameters: {known}")
    return {
        name: _typed(name, parameter, given[name]) if name in given else parameter.default
        for name, parameter in declared.items()
    }


def _typed(name: str, parameter: Parameter, value: FactValue) -> FactValue:
    # A value that was resolved once and recorded may be given again.
    if value is None and parameter.default is None:
        return None
    if parameter.type == "text":
        if isinstance(value, str):
            return value
        raise InputError(f"the parameter '{name}' must be text", remedy=parameter.description)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST <= value < _LARGEST:
        raise InputError(f"the parameter '{name}' must be a whole number of 64 bits", remedy=parameter.description)
    return value
