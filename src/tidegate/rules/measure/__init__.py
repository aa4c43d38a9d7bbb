"""What polling and webhooks cost, as pure decisions: the rate of changes, traces of changes, and policies on them.

`estimate.py` says how often something changes by looks that found something or not; `traces.py` has changes in time,
recorded or made; `policies.py` runs a policy (poll, adaptive poll, webhook) over a trace and counts requests and delay.
"""
