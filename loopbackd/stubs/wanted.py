"""What a text, or a named value, must be like."""

from __future__ import annotations

import re
from collections.abc import Callable

from loopbackd.explaining import shown
from loopbackd.httpsettings import Text, Wanted

Check = Callable[[list[str]], bool]
"""Whether the values that a name has, in order, are as wanted; none where it is not there."""


def compiled(pattern: str, key: str) -> re.Pattern[str]:
    """
    A regular expression of the user's; C{.} is any character, line ends included.

    @raise ValueError: it is none.
    """
    try:
        return re.compile(pattern, re.S)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{key} = {shown(pattern)}: not a regular expression: {error}") from None


def textCheck(wanted: Text, key: str) -> Callable[[str], bool]:
    """
    Whether one text is like that.

    @raise ValueError: nothing is wanted of it, or a regular expression is none.
    """
    checks: list[Callable[[str], bool]] = []
    if wanted.contains is not None:
        part = wanted.contains
        checks.append(lambda text: part in text)
    if wanted.regex is not None:
        good = compiled(wanted.regex, f"{key}: regex")
        checks.append(lambda text: good.fullmatch(text) is not None)
    if wanted.not_regex is not None:
        bad = compiled(wanted.not_regex, f"{key}: not_regex")
        checks.append(lambda text: bad.fullmatch(text) is None)
    if not checks:
        raise ValueError(f"{key}: nothing is wanted; write contains, regex or not_regex")
    return lambda text: all(check(text) for check in checks)


def valuesCheck(wanted: Wanted, key: str) -> tuple[Check, str]:
    """
    Whether a name has such values, and what is wanted in words.

    @raise ValueError: see L{textCheck}.
    """
    if wanted is True:
        return (lambda values: bool(values)), "some value"
    if wanted is False:
        return (lambda values: not values), "none"
    if isinstance(wanted, Text):
        check = textCheck(wanted, key)
        return (lambda values: any(map(check, values))), describe(wanted)
    if isinstance(wanted, tuple):
        exactly = list(wanted)
        return (lambda values: values == exactly), shown(exactly)
    one = str(wanted)
    return (lambda values: one in values), shown(one)


def describe(wanted: Text) -> str:
    """What is wanted of a text, in words."""
    words = []
    if wanted.contains is not None:
        words.append(f"something with {shown(wanted.contains)}")
    if wanted.regex is not None:
        words.append(f"a match of {shown(wanted.regex)}")
    if wanted.not_regex is not None:
        words.append(f"no match of {shown(wanted.not_regex)}")
    return " and ".join(words)
