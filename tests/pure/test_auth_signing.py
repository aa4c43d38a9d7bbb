"""Credentials that sign: the vectors of their standards, and keys in the wrong form."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from support.keys import ec_key, ed25519_key, rsa_key
from tidegate.auth import KINDS, RequestFacts
from tidegate.auth.aws_sigv4 import AwsSigV4Auth
from tidegate.auth.digest import DigestAuth, parse_challenge
from tidegate.auth.digest import answer as digest_answer
from tidegate.auth.github_app import GithubAppAuth
from tidegate.auth.hmac import HmacAuth
from tidegate.auth.jwt_bearer import JwtBearerAuth
from tidegate.auth.private_keys import private_key_problem, sign_jwt


def facts(method: str = "GET", url: str = "https://example.amazonaws.com/", body: bytes = b"", at: int = 1440938160):
    return RequestFacts(method, url, (), body, at)


def aws(url: str) -> str:
    auth = AwsSigV4Auth(
        access_key_id="AKIDEXAMPLE", secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region="us-east-1", service="service",
    )  # fmt: skip
    added = dict(KINDS["aws_sigv4"].add(auth, request=facts(url=url)).headers)
    assert added["X-Amz-Date"] == "20150830T123600Z"
    return added["Authorization"]


def by_hand(query: str) -> str:
    """The signature, written out as the description of the scheme has it."""
    empty = hashlib.sha256(b"").hexdigest()
    lines = f"host:example.amazonaws.com\nx-amz-content-sha256:{empty}\nx-amz-date:20150830T123600Z\n"
    canonical = f"GET\n/\n{query}\n{lines}\nhost;x-amz-content-sha256;x-amz-date\n{empty}"
    text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n"
    text += hashlib.sha256(canonical.encode()).hexdigest()
    key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    for part in (b"20150830", b"us-east-1", b"service", b"aws4_request"):
        key = hmac.digest(key, part, "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@pytest.mark.parametrize(
    ("query", "canonical"),
    [("", ""), ("?b=2&a=1", "a=1&b=2"), ("?a=x%20y&a=%2B", "a=%2B&a=x%20y"), ("?k=", "k=")],
)
def test_sigv4_signs_the_canonical_request(query: str, canonical: str) -> None:
    value = aws(f"https://example.amazonaws.com:443/{query}")
    assert value.endswith(f"Signature={by_hand(canonical)}")
    assert "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request" in value


def test_digest_answers_the_example_of_rfc_7616() -> None:
    """Section 3.9.1, with our own cnonce in the place of the one there."""
    challenge = parse_challenge(
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    assert challenge is not None
    auth = DigestAuth(username="Mufasa", password="Circle of Life")
    value = digest_answer(auth, challenge, facts(url="http://www.example.org/dir/index.html"))
    parts = {k: v.strip('"') for k, _, v in (one.partition("=") for one in value.removeprefix("Digest ").split(", "))}
    h = lambda text: hashlib.sha256(text.encode()).hexdigest()  # noqa: E731
    first, second = h("Mufasa:http-auth@example.org:Circle of Life"), h("GET:/dir/index.html")
    assert parts["response"] == h(f"{first}:{parts['nonce']}:00000001:{parts['cnonce']}:auth:{second}")
    assert parts["uri"] == "/dir/index.html" and parts["opaque"] == challenge["opaque"]


@pytest.mark.parametrize(
    "header", ["", "Basic realm=x", 'Digest realm="r"', 'Digest realm="r", nonce="n", algorithm=SHA-512-256',
               'Digest realm="r", nonce="n", qop="auth-int"'],
)  # fmt: skip
def test_a_challenge_that_cannot_be_answered_adds_nothing(header: str) -> None:
    auth = DigestAuth(username="u", password="p")
    assert KINDS["digest"].add(auth, request=facts(), token=header).headers == ()


def test_hmac_signs_what_the_template_names() -> None:
    auth = HmacAuth(
        header="X-Sign", secret="736563", secret_encoding="hex", signed="{timestamp}.{method}.{path}?{query}.{body}",
        timestamp_header="X-Time", timestamp_unit="ms", prefix="v1=", encoding="base64", key="me", key_header="X-Key",
    )  # fmt: skip
    added = KINDS["hmac"].add(auth, request=facts("POST", "https://a.example.com/x?y=1", b"{}", 1700000000))
    expected = base64.b64encode(hmac.digest(b"sec", b"1700000000000.POST./x?y=1.{}", "sha256")).decode()
    assert added.headers == (("X-Sign", f"v1={expected}"), ("X-Time", "1700000000000"), ("X-Key", "me"))


def parts(token: str) -> tuple[dict[str, object], dict[str, object], bytes, bytes]:
    head, claims, signature = token.split(".")
    raw = [base64.urlsafe_b64decode(one + "=" * (-len(one) % 4)) for one in (head, claims, signature)]
    return msgspec.json.decode(raw[0]), msgspec.json.decode(raw[1]), raw[2], f"{head}.{claims}".encode()


def test_a_signed_token_verifies_with_the_public_key() -> None:
    _, _, signature, signed = parts(sign_jwt({"iss": "a"}, rsa_key(), "RS256"))
    key = load_pem_private_key(rsa_key().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    head, _, signature, signed = parts(sign_jwt({"iss": "a"}, ec_key(), "ES256", {"kid": "7"}))
    assert head == {"alg": "ES256", "typ": "JWT", "kid": "7"} and len(signature) == 64
    curve = load_pem_private_key(ec_key().encode(), None)
    assert isinstance(curve, ec.EllipticCurvePrivateKey)
    both = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    curve.public_key().verify(encode_dss_signature(*both), signed, ec.ECDSA(hashes.SHA256()))
    _, _, signature, signed = parts(sign_jwt({}, ed25519_key(), "EdDSA"))
    edwards = load_pem_private_key(ed25519_key().encode(), None)
    assert isinstance(edwards, ed25519.Ed25519PrivateKey)
    edwards.public_key().verify(signature, signed)


def test_the_assertions_of_jwt_bearer_and_github_apps_have_the_claims_that_providers_ask_for() -> None:
    auth = JwtBearerAuth(
        token_url="https://t.example.com/token", issuer="i", subject="s", private_key=rsa_key(), scopes=["a", "b"],
        claims={"hd": "x"},
    )  # fmt: skip
    body = dict(one.split("=") for one in KINDS["jwt_bearer"].token_request(auth, None, 1000).body.decode().split("&"))
    _, claims, _, _ = parts(body["assertion"])
    assert claims == {
        "iss": "i", "aud": "https://t.example.com/token", "sub": "s", "scope": "a b", "iat": 1000, "exp": 1180,
        "hd": "x",
    }  # fmt: skip
    app = GithubAppAuth(app_id="12", installation_id="34", private_key=rsa_key().replace("\n", "\\n"))
    request = KINDS["github_app"].token_request(app, None, 1000)
    assert request.url == "https://api.github.com/app/installations/34/access_tokens"
    _, claims, _, _ = parts(dict(request.headers)["Authorization"].removeprefix("Bearer "))
    assert claims == {"iat": 940, "exp": 1540, "iss": "12"}


@pytest.mark.parametrize(
    ("key", "algorithm", "problem"),
    [
        ("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----", "RS256", "this is a certificate"),
        ("-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----", "RS256", "this is a public key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII\n", "RS256", "encrypted with a passphrase"),
        ("hunter2", "RS256", "not a private key in PEM form"),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----", "RS256", "cannot be read; it may be cut"),
        (ec_key(), "RS256", "RS256 needs an RSA key"),
        (rsa_key(), "ES256", "ES256 needs an elliptic-curve key on secp256r1"),
        (rsa_key(1024), "RS256", "1024 bits; 2048 are needed"),
        ("short", "HS256", "at least 16 characters"),
        (rsa_key(), "RS256", ""),
    ],
)
def test_a_private_key_in_the_wrong_form_is_named_and_never_shown(key: str, algorithm: str, problem: str) -> None:
    found = private_key_problem(key, algorithm)
    assert problem in found and bool(problem) == bool(found)
    assert key not in found or not found
