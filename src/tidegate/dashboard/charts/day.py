"""One lane of the last 24 hours: polls and what they found, webhooks, pulls, what was missed and healed, pauses.

A short tick is a poll without a change and a tall tick one with a change, as long as there are few; many become an
area, of which the filled part found changes. Pull is an outline, push is filled. A ring is a change that a
webhook missed and a look found; hatching is time in which the source allowed no request. Pure: bins in, SVG out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tidegate.dashboard.charts.marks import num
from tidegate.dashboard.charts.strips import strip

HEIGHT, BASE = 34, 30
FEW = 2  # polls in one bin that are drawn as ticks


class DayBin(Struct, frozen=True, kw_only=True):
    """One stretch of a lane. `place`: 0 is the oldest."""

    place: int
    polls: int = 0
    found: int = 0
    pulls: int = 0
    webhooks: int = 0
    healed: int = 0
    throttled: bool = False


def lane(bins: Sequence[DayBin], places: int) -> str:
    """The lane as one nested drawing whose x axis is the bins."""
    most = max([1, *(max(one.polls, one.pulls, one.webhooks) for one in bins)])
    ticks = max((one.polls for one in bins), default=0) <= FEW and not any(one.pulls for one in bins)
    shapes = {
        "plt": _area({} if ticks else {one.place: max(one.polls, one.pulls) / most for one in bins}, places),
        "plf": _area({} if ticks else {one.place: min(one.found, one.polls) / most for one in bins}, places),
        "psf": _area({one.place: one.webhooks / most for one in bins}, places),
        "pl": "".join(f"M{one.place + 0.5} {BASE}v-{18 if one.found else 6}" for one in bins if ticks and one.polls),
    }
    parts = [f'<svg viewBox="0 0 {places} {HEIGHT}" preserveAspectRatio="none" height="{HEIGHT}">']
    parts += [f'<path class="{name}" d="{path}"/>' for name, path in shapes.items() if path]
    parts.append(f'</svg><line class="ax" x2="100%" y1="{BASE}" y2="{BASE}"/>')
    # hatching is drawn unstretched, so that it looks the same in every lane and on the phone
    for first, last in _runs([one.place for one in bins if one.throttled]):
        x, width = num(first / places * 100), num((last + 1 - first) / places * 100)
        parts.append(f'<rect class="hatch" x="{x}%" y="{BASE - 26}" width="{width}%" height="26"/>')
    for one in bins:
        if one.healed:
            parts.append(f'<circle class="ps ho" cx="{num((one.place + 0.5) / places * 100)}%" cy="7" r="4"/>')
    return strip(HEIGHT, parts, "day")


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """(first, last) of each run of neighbors."""
    runs: list[tuple[int, int]] = []
    for place in sorted(set(places)):
        if runs and runs[-1][1] == place - 1:
            runs[-1] = runs[-1][0], place
        else:
            runs.append((place, place))
    return runs


def _area(shares: Mapping[int, float], places: int) -> str:
    """The outline of columns over the line, one for each bin with a share; neighbors of one height are one column."""
    path, height = "", 0
    for place in range(places + 1):
        wanted = max(2, round(22 * shares[place])) if shares.get(place) else 0
        if wanted == height:
            continue
        if not height:
            path += f"M{place} {BASE}V{BASE - wanted}"
        else:
            path += f"H{place}V{BASE - wanted}" + ("" if wanted else "z")
        height = wanted
    return path
