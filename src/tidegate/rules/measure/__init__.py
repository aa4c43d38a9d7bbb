"""What polling and webhooks cost, as pure decisions: the rate of changes, when to poll, traces and policies on them.

`estimate.py` says how often something changes by looks that found something or not; `hours.py` learns it by hour of the
week; `adaptive.py` decides when `poll = "auto"` polls next. `traces.py` has changes in time, recorded or made;
`policies.py` is how a policy is written, and `simulation.py` runs it over a trace and counts requests, delay and money.

The advice, in reading order: `observed.py` (what it is made from), `cost.py` and `curve.py` (what an interval costs),
`advise.py` (the decision, by `advise_polled.py`, `advise_pushed.py` and `advise_read.py`), `effects.py` (now and
after), `advice.py` (its shape and its confidence), `wording.py`.
"""
