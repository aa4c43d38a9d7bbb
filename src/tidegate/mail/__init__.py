"""The mailbox engine: asks a mail server for new mail (poll), or waits until it says so (IDLE).

`engine.py` runs the mailboxes that this node holds; `mailbox.py` is the life of one; `reader.py` takes one look at a
folder; `mailbox_state.py` is what is stored. Decisions are in `rules/mail/`, the socket is in `outbound/imap.py`.
"""

from tidegate.mail.engine import MailEngine

__all__ = ["MailEngine"]
