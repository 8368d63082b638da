"""Markdown tables of medians, spreads and ratios."""

from statistics import median

from measuring import Entry, Round
from rows import Column, Row

BUSY = 0.9
"""The share of a CPU above which the load generator counts as the limit."""


def figures(entry: Entry, key: str) -> list[float]:
    """One figure of every round that was measured."""
    return [round[key] for round in entry.rounds if round is not None and key in round]


def ratio(subject: Entry, other: Entry, key: str) -> float | None:
    """The median of the ratios round by round: neighbours in time share the machine's mood."""
    pairs = [
        one[key] / two[key]
        for one, two in zip(subject.rounds, other.rounds, strict=True)
        if one and two and key in one and two.get(key)
    ]
    return median(pairs) if pairs else None


def number(value: float, column: Column) -> str:
    """A figure in the column's unit."""
    return f"{value * column.scale:,.{column.digits}f}"


def cells(subject: Entry, entry: Entry, column: Column) -> list[str]:
    """The median, the spread and the ratio of one server, or dashes."""
    values = figures(entry, column.key)
    if not values:
        return ["-", "-", "-"]
    quotient = None if entry is subject else ratio(subject, entry, column.key)
    return [
        number(median(values), column),
        f"{number(min(values), column)} to {number(max(values), column)}",
        "-" if quotient is None else f"{quotient:.2f}x",
    ]


def remarks(entry: Entry) -> list[str]:
    """What a reader has to know about a server's figures."""
    found = []
    busy, slow = figures(entry, "generator_cpu"), figures(entry, "slow")
    unanswered = sum(figures(entry, "unanswered"))
    if busy and median(busy) > BUSY:
        found.append(f"load generator {median(busy):.0%} busy")
    if slow and median(slow) > 0:
        found.append(f"{median(slow):.0f} connections a round waited over 0.9 s")
    if unanswered:
        found.append(f"{unanswered:.0f} connections in all still unanswered 3 s after their round")
    if entry.notRun:
        found.append(entry.notRun if any(entry.rounds) else f"not run: {entry.notRun}")
    return found


def heading(column: Column) -> list[str]:
    """The three headings of a figure."""
    better = "more" if column.moreIsBetter else "less"
    return [f"{column.unit} ({better} is better)", "lowest to highest", "loopbackd ÷ it"]


def table(row: Row, entries: list[Entry]) -> str:
    """One row of the comparison as a table with a line per server."""
    titles = ["server"]
    for column in row.columns:
        titles += heading(column)
    lines = [[*titles, "remarks"], ["---"] + ["---:"] * (len(titles) - 1) + ["---"]]
    for entry in entries:
        line = [entry.name]
        for column in row.columns:
            line += cells(entries[0], entry, column)
        lines.append([*line, "; ".join(remarks(entry)).replace("|", "\\|")])
    rounds: list[Round | None] = max((entry.rounds for entry in entries), key=len)
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"### {row.title}\n\nMedians of {len(rounds)} rounds.\n\n{text}\n"
