"""What polling and webhooks cost, as pure decisions: the rate of changes, traces of changes, and policies on them.

`estimate.py` says how often something changes by looks that found something or not; `traces.py` has changes in time,
recorded or made; `policies.py` runs a policy (poll, adaptive poll, webhook) over a trace and counts requests and delay.

The advice, in reading order: `observed.py` (what it is made from), `cost.py` and `curve.py` (what an interval costs),
`advise.py` (the decision, by `advise_polled.py`, `advise_pushed.py` and `advise_read.py`), `effects.py` (now and
after), `advice.py` (its shape and its confidence), `wording.py`.
"""
