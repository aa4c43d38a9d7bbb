"""What is new in a folder: UIDs that n:* repeats, new UIDVALIDITY values, and what is remembered."""

from __future__ import annotations

import pytest

from tidegate.rules.mail.folder import (
    MAX_SEEN,
    FolderFacts,
    FolderState,
    MessageFacts,
    Plan,
    arrived_since,
    delivery_id,
    fingerprint,
    fresh,
    handled,
    plan,
)
from tidegate.rules.mail.folder_names import encode_folder

FACTS = FolderFacts(uidvalidity=7, uidnext=10, exists=3)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (FolderState(), Plan(baseline=True)),
        (FolderState("a", 7, 5), Plan(from_uid=5)),
        (FolderState("b", 7, 5), Plan(baseline=True)),
        (FolderState("a", 6, 5, newest_us=99), Plan(reset=True, since_us=99)),
    ],
)
def test_a_folder_is_new_known_renumbered_or_of_another_account(state: FolderState, wanted: Plan) -> None:
    assert plan(state, "a", FACTS) == wanted


@pytest.mark.parametrize(
    ("uids", "start", "wanted"), [([9], 10, []), ([12, 10, 12], 10, [10, 12]), ([], 1, []), ([3, 11], 4, [11])]
)
def test_the_last_old_mail_that_a_search_repeats_is_not_new(uids: list[int], start: int, wanted: list[int]) -> None:
    assert fresh(uids, start) == wanted


def test_after_new_numbers_only_mail_that_was_not_seen_and_is_not_older_is_new() -> None:
    old, same_second = MessageFacts(1, 10, 500), MessageFacts(2, 10, 1000)
    state = handled(FolderState("a", 6, 5), same_second, "seen@x")
    found = [(MessageFacts(1, *old_facts(old)), "old@x"), (MessageFacts(2, 10, 1000), "seen@x"),
             (MessageFacts(3, 10, 1000), "twin@x"), (MessageFacts(4, 10, 2000), "new@x")]  # fmt: skip
    assert arrived_since(state, found) == [3, 4]


def old_facts(facts: MessageFacts) -> tuple[int, int]:
    return facts.size, facts.internal_us


def test_the_state_never_goes_back_and_is_bounded() -> None:
    state = FolderState("a", 7, 20, newest_us=5000)
    after = handled(state, MessageFacts(3, 10, 100), "x")
    assert (after.next_uid, after.newest_us) == (20, 5000)
    for uid in range(20, 20 + 2 * MAX_SEEN):
        after = handled(after, MessageFacts(uid, 10, 100), str(uid))
    assert len(after.seen) == MAX_SEEN
    assert fingerprint(MessageFacts(1, 10, 100), str(19 + 2 * MAX_SEEN)) == after.seen[-1]


def test_an_identity_is_folder_uidvalidity_and_uid_and_cannot_come_over_http() -> None:
    names = {delivery_id(folder, 7, uid) for folder in ("INBOX", "Done") for uid in (1, 2)}
    assert len(names) == 4
    assert all(name.startswith("\0") for name in names)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("INBOX", '"INBOX"'),
        ("Entwürfe", '"Entw&APw-rfe"'),
        ("A & B", '"A &- B"'),
        ("台北", '"&U,BTFw-"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
    ],
)
def test_folder_names_are_written_as_imap_spells_them(name: str, wanted: str) -> None:
    assert encode_folder(name) == wanted
