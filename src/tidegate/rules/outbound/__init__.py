"""Decisions about requests that go out: addresses, bodies, signing, retries, rate."""
