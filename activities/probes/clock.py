"""What a difference of clocks means for sign-ins. For information: a Date header is no measurement."""

from __future__ import annotations

from datetime import timedelta

from activities.probes.answer import Answer

_WORTH_A_WORD = timedelta(minutes=2)  # assertions and ID tokens are usually given 1 to 5 minutes of leeway


def about_clock(answer: Answer) -> str:
    """ "; its clock is 7 min ahead of ours", or nothing."""
    skew = answer.clock_skew
    if skew is None or abs(skew) < _WORTH_A_WORD:
        return ""
    minutes = round(abs(skew) / timedelta(minutes=1))
    return f"; its clock is {minutes} min {'ahead of' if skew > timedelta() else 'behind'} ours"
