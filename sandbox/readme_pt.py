"""Keep README.pt-BR.md saying what README.md says.

The Portuguese file ends with a list: of each section, in order, a digest of its English and one of its
Portuguese text, as they were when somebody last made sure that the two say the same.
`make readme-pt` tells which have changed since, looks whether the two have the same shape, and records them.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGLISH, PORTUGUESE = ROOT / "README.md", ROOT / "README.pt-BR.md"
BEGIN, END = "<!-- sections of README.md when they were translated (make readme-pt)\n", "-->\n"


class ReadmeError(RuntimeError):
    """The two do not have the same shape; the message names the section."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it, up to the next heading."""

    level: int
    title: str
    lines: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return what changes when the text does."""
        return hashlib.sha256("\n".join((self.title, *self.lines)).strip().encode()).hexdigest()[:16]

    @property
    def shape(self) -> dict[str, object]:
        """Return what a translation leaves alone."""
        text = "\n".join(self.lines)
        prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
        return {
            "level of the heading": self.level,
            "blocks of code": re.findall(r"^ *```(\w+)", text, re.MULTILINE),
            "rows of tables": sum(line.startswith("|") for line in self.lines),
            "points of lists": len(re.findall(r"^ *(?:-|\d+\.) ", prose, re.MULTILINE)),
            "words in code": set(re.findall(r"`([^`\n]+)`", prose)),
            "links": set(re.findall(r"\]\((?!README)([^)]+)\)", prose)),
        }


def read_sections(text: str) -> list[Section]:
    """Divide a text at its headings; a line that begins with # in a block of code is none."""
    sections: list[tuple[int, str, list[str]]] = []
    in_code = False
    for line in text.partition(BEGIN)[0].splitlines():
        in_code ^= line.lstrip().startswith("```")
        heading = None if in_code else re.fullmatch(r"(#+) (.+)", line)
        if heading:
            sections.append((len(heading[1]), heading[2], []))
        elif sections:
            sections[-1][2].append(line.rstrip())
    return [Section(level, title, tuple(lines)) for level, title, lines in sections]


def read_recorded(portuguese: str) -> list[tuple[str, str]]:
    """Return the digests that were recorded, English and Portuguese, in the order of the sections."""
    recorded = portuguese.partition(BEGIN)[2].partition(END)[0]
    return [(line[:16], line[17:33]) for line in recorded.splitlines()]


def find_changed(english: str, portuguese: str) -> Iterator[str]:
    """Yield the English titles of sections of which one text has changed since they were recorded."""
    recorded = set(read_recorded(portuguese))
    for ours, theirs in paired(english, portuguese):
        if (ours.digest, theirs.digest) not in recorded:
            yield ours.title


def paired(english: str, portuguese: str) -> Sequence[tuple[Section, Section]]:
    """Return the sections side by side; raise ReadmeError at the first that differ in shape."""
    ours, theirs = read_sections(english), read_sections(portuguese)
    for one, other in zip(ours, theirs, strict=False):
        for name, wanted in one.shape.items():
            if (seen := other.shape[name]) != wanted:
                difference = sorted(wanted ^ seen) if isinstance(wanted, set) else f"{wanted} and {seen}"
                raise ReadmeError(f"{name} of {one.title!r} and {other.title!r} differ: {difference}")
    if len(ours) != len(theirs):
        raise ReadmeError(f"README.md has {len(ours)} headings, README.pt-BR.md {len(theirs)}")
    return list(zip(ours, theirs, strict=True))


def with_record(english: str, portuguese: str) -> str:
    """Return the Portuguese text with the digests of both as they are now."""
    pairs = paired(english, portuguese)
    record = "".join(f"{ours.digest} {theirs.digest} {ours.title}\n" for ours, theirs in pairs)
    return f"{portuguese.partition(BEGIN)[0].rstrip()}\n\n{BEGIN}{record}{END}"


def main() -> int:
    """Tell what has changed and record it as translated."""
    english, portuguese = (path.read_text(encoding="utf-8") for path in (ENGLISH, PORTUGUESE))
    try:
        for title in find_changed(english, portuguese):
            print(f"changed since it was recorded: {title}")
        PORTUGUESE.write_text(with_record(english, portuguese), encoding="utf-8")
    except ReadmeError as error:
        print(f"error: {error}; nothing was recorded", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
