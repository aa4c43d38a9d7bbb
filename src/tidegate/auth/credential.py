"""A reference to a credential under `[credentials.NAME]`, shared by several sources and destinations. Pure.

Owns only the name. May not know the credential: the sender looks it up. Invariant: it adds nothing by itself, so a
reference that is not resolved sends no credential. Crash: nothing is kept.
"""

from __future__ import annotations

from tidegate.auth.base import Added, AuthKind, RequestFacts, check_value
from tidegate.core.checking import Checker, Path
from tidegate.core.spec import Auth


class CredentialReference(Auth, frozen=True, kw_only=True, tag="credential"):
    credential: str


class Reference(AuthKind[CredentialReference]):
    name = "credential"
    spec = CredentialReference
    help = "A credential of `[credentials.NAME]`, shared with other sources and destinations; `type` may be left out."
    keys = {"credential": "The name of the shared credential."}
    secret_fields = frozenset()

    def check(self, checker: Checker, path: Path, auth: CredentialReference) -> None:
        check_value(checker, path, "credential", auth.credential)

    def add(self, auth: CredentialReference, *, request: RequestFacts | None = None, token: str = "") -> Added:
        return Added()


KIND = Reference()
