# SPDX-License-Identifier: Apache-2.0
"""What test processes remember of templates makes no difference to what is made of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, UndefinedError

TEXT = "{% if 1 %}\n  {{ '<' | mark }}{{ 'a' is small }}{{ name }}\n{% endif %}"


def filled(mark: Any = str, small: Any = bool, **settings: Any) -> str:
    environment = Environment(**settings)
    environment.filters["mark"], environment.tests["small"] = mark, small
    return environment.from_string(TEXT).render(name="&")


def test_one_text_is_another_template_with_other_settings() -> None:
    for _ in range(2):
        assert filled() == "\n  <True&\n"
        assert filled(trim_blocks=True, lstrip_blocks=True) == "  <True&\n"
        assert filled(autoescape=True) == "\n  &lt;True&amp;\n"
        assert filled(mark=partial(str.__add__, "-")) == "\n  -<True&\n"
        assert filled(mark=partial(str.__add__, "+")) == "\n  +<True&\n"
        assert filled(small=str.isdigit) == "\n  <False&\n"


def test_what_lacks_is_told_each_time() -> None:
    for _ in range(2):
        assert Environment().from_string("{{ nobody }}").render() == ""
        with pytest.raises(UndefinedError):
            Environment(undefined=StrictUndefined).from_string("{{ nobody }}").render()
        with pytest.raises(TemplateSyntaxError, match="unknown tag 'nobody'"):
            Environment().from_string("{% nobody %}")
