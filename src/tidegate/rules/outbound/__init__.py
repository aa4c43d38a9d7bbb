"""Decisions about outgoing requests: addresses, bodies, signing, what to send next, circuit breaker, retries, rate."""
