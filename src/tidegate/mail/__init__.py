"""The mailbox engine: asks a mail server (poll) or is told by it (IDLE), and makes each new mail an event once.

`engine.py` runs the mailboxes that this node holds; `mailbox.py` is the life of one; `reader.py` takes one look at a
folder; `mailbox_state.py` is what is stored. Decisions are in `rules/mail/`, the socket is in `outbound/imap.py`.
"""

from tidegate.mail.engine import MailEngine

__all__ = ["MailEngine"]
