"""`filters:` of a curate spec: a preset, and changes to its rules in general, by language and by pair of languages."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from pairmill.spec.base import Language, Model, check_language
from pairmill.spec.rules import RULES

MOST_ACTIVE = 64  # rules; a row's failing ones are the bits of one integer


class Bounds(Model):
    """A rule's setting: `off`, `on`, one number for the rule's only bound, or `{min:, max:}`."""

    enabled: bool = True
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _possible(self) -> Bounds:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no row could pass")
        return self


def _bounds(value: Any) -> Any:
    if (value in ("off", False) and not isinstance(value, (int, float))) or value is False:
        return {"enabled": False}
    if value in ("on", None) or value is True:
        return {}
    if isinstance(value, str):
        raise ValueError(f"{value!r} is not a setting of a rule: write off, on, a number or {{min: .., max: ..}}")
    return value


Setting = Annotated[Bounds | float, BeforeValidator(_bounds)]


_CODE = "([a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?)"
_PAIR = re.compile(f"{_CODE}-{_CODE}")


def split_pair(pair: str) -> tuple[str, str]:
    """The two codes of `de-en` or `pt-BR-zh-Hant`: languages in lower case, scripts and regions as in BCP-47."""
    match = _PAIR.fullmatch(pair)
    if match is None:
        raise ValueError(f"{pair!r} is not a pair of languages: write two codes, such as de-en, pt-BR-fr or zh-Hant-ja")
    return check_language(match[1]), check_language(match[2])


def _check_pair(pair: str) -> str:
    split_pair(pair)
    return pair


Pair = Annotated[str, AfterValidator(_check_pair)]
Settings = dict[str, Setting]


class Filters(Model):
    preset: Literal["bitext", "strict", "lenient", "web", "none"] = Field(
        "bitext", description="strict and lenient have the rules of bitext with other bounds; web judges documents."
    )
    rules: Settings = Field({}, description="Changes to the preset by rule name.")
    per_language: dict[Language, Settings] = Field(
        {}, description="Changes for sides in a language; for a rule on the pair, the anchor's language comes first."
    )
    per_pair: dict[Pair, Settings] = Field(
        {}, description="Changes for pairs of languages, in either direction (`de-en`); they win over per_language."
    )

    @property
    def groups(self) -> list[tuple[tuple[str, ...], Settings]]:
        """All changes, with where they stand."""
        return [
            (("rules",), self.rules),
            *[(("per_language", code), settings) for code, settings in self.per_language.items()],
            *[(("per_pair", pair), settings) for pair, settings in self.per_pair.items()],
        ]

    @property
    def switched_off(self) -> set[str]:
        """Rules of the preset that the spec switches off."""
        return {name for name, setting in self.rules.items() if isinstance(setting, Bounds) and not setting.enabled}

    @property
    def named(self) -> set[str]:
        """Rules that the spec switches on or changes by name."""
        return {
            name
            for _, settings in self.groups
            for name, setting in settings.items()
            if not isinstance(setting, Bounds) or setting.enabled
        }

    @model_validator(mode="before")
    @classmethod
    def _known_rules(cls, data: Any) -> Any:
        if isinstance(data, dict):
            groups: list[tuple[tuple[str, ...], Any]] = [(("rules",), data.get("rules"))]
            for kind in ("per_language", "per_pair"):
                if isinstance(data.get(kind), dict):
                    groups += [((kind, code), rules) for code, rules in data[kind].items()]
            for where, rules in groups:
                for name in rules if isinstance(rules, dict) else ():
                    if name not in RULES:
                        raise PydanticCustomError(
                            "unknown_rule",
                            "unknown rule {name}",
                            {"name": name, "path": (*where, name), "allowed": list(RULES)},
                        )
        return data

    @model_validator(mode="after")
    def _possible(self) -> Filters:
        for where, settings in self.groups:
            for name, setting in settings.items():
                between = name in RULES and RULES[name].direction == "between"
                if between and not isinstance(setting, Bounds):
                    raise ValueError(
                        f"{'.'.join(where)}.{name} has two bounds: write {{min: .., max: ..}} instead of {setting}"
                    )
        active = {name for name, rule in RULES.items() if self.preset in rule.presets} - self.switched_off | self.named
        if len(active) > MOST_ACTIVE:
            raise ValueError(f"{len(active)} rules are on, at most {MOST_ACTIVE} can be: switch some off")
        return self
