"""Phrases: the only patterns a playbook may use, so that no rule can be slow on hostile text.

A phrase is literal words, `(one|of|these)`, `(optional )?`, `#` for a digit, and at most two `...` for up to 60
characters in between. A blank also matches a hyphen or an underscore. A phrase begins where a word begins and may end
inside one. The text is expected in lower case and single-spaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrase:
    """A compiled phrase. Of every tuple in `needs` one word has to be in a text that matches, which is quick to see."""

    source: str
    needs: tuple[tuple[str, ...], ...]
    pattern: re.Pattern[str]

    def found_in(self, text: str) -> bool:
        for words in self.needs:
            for word in words:
                if word in text:
                    break
            else:
                return False
        return self.pattern.search(text) is not None


_WORD_START = "(?<![a-z0-9])"
_PIECE = re.compile(r"\.\.\.|\([^()]+\)\??|[^().]+|.")


def compile_phrase(source: object) -> Phrase:
    """Raises ValueError, saying what is wrong, on anything that is not a phrase."""
    if isinstance(source, Phrase):
        return source
    if not isinstance(source, str) or len(source.strip()) < 3:
        raise ValueError("a phrase is a text of at least three characters")
    if source.count("...") > 2 or re.search(r"[\\*+\[\]^$]|(?<!\))\?|\([^()]*$", source):
        raise ValueError(f"{source!r}: a phrase has words, (a|b), (optional )? and at most two ... gaps")
    source = " ".join(source.casefold().split())
    parts: list[str] = []
    needs: list[tuple[str, ...]] = []
    for piece in _PIECE.findall(re.sub(r" ?\.\.\. ?", "...", source)):
        if piece == "...":
            parts.append("[^|]{0,60}?" + _WORD_START)  # a bar parts the messages of one failure
        elif piece.startswith("(") and piece.rstrip("?").endswith(")"):
            options = piece.rstrip("?")[1:-1].split("|")
            parts.append("(?:" + "|".join(map(_literal, options)) + ")" + ("?" if piece.endswith("?") else ""))
            if not piece.endswith("?"):
                needs.append(tuple(map(_longest_word, options)))
        else:
            parts.append(_literal(piece))
            needs.append((_longest_word(piece),))
    start = _WORD_START if source[0].isalnum() or source[0] == "(" else ""
    # What is rarest in a text comes first, so that most texts are done with at the first look.
    needs.sort(key=lambda words: (len(words), -min(map(len, words))))
    return Phrase(source, tuple(needs), re.compile(start + "".join(parts)))


def _longest_word(text: str) -> str:
    return max(re.split(r"[ _#-]", text), key=len)


def _literal(text: str) -> str:
    return re.sub(r"\\?[ _]|\\-", "[ _-]", re.escape(text)).replace(r"\#", r"\d")
