"""Verifies requests with the secret or key of their provider, on raw bytes, by schemes that are data.

Owns the kinds of schemes, one file each (`hashes`, `public_keys`, `jwt`, `message`), and compiles them with the secrets
to one verifier. Knows no provider by name, no HTTP server and no clock. Four building blocks cover nearly all
providers: a template of signed parts, a digest, an encoding with prefix and list separator, and a time rule. To add a
kind, add a file and a line to `compile_scheme` in `readers.py`. Invariants: every comparison of secret
values takes constant time; an empty secret never verifies; a malformed entry in a list is skipped and raises nothing;
the number of candidates is bounded. Crash: nothing is kept between calls.
"""

from __future__ import annotations

from tidegate.rules.inbound.signatures.scheme import Checked, Scheme, Verification, secret_bytes, secret_forms
from tidegate.rules.inbound.signatures.verify import Verifier, compile_verifier, usable

__all__ = [
    "Checked",
    "Scheme",
    "Verification",
    "Verifier",
    "compile_verifier",
    "secret_bytes",
    "secret_forms",
    "usable",
]
