"""Decisions about requests that go out: addresses, bodies, signing, what goes next, circuit breaker, retries, rate."""
