"""The chat: it takes Slack's incoming-webhook JSON, `{"text": "..."}`, and shows the texts.

As with Slack, the address is the secret: whoever knows it may post, and the answer is the plain text `ok`.
"""

from __future__ import annotations

import hmac
import json
from collections import deque
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tidegate_company import web


class Chat:
    def __init__(self, system: web.System) -> None:
        self.system = system
        self.path = system.secret("chat-path")
        self.texts: deque[dict[str, Any]] = deque(maxlen=200)

    async def post(self, request: Request) -> Response:
        if not hmac.compare_digest(request.path_params["path"].encode(), self.path.encode()):
            return PlainTextResponse("no_service", 404)
        try:
            message = json.loads(await request.body())
            said = message["text"]
        except (ValueError, KeyError, TypeError):
            return PlainTextResponse("invalid_payload", 400)
        if not isinstance(said, str) or not said:
            return PlainTextResponse("no_text", 400)
        self.system.counts["texts"] += 1
        self.texts.append({"text": said, "at": web.now()})
        return PlainTextResponse("ok")

    async def page(self, request: Request) -> Response:
        rows = [[web.text(entry["at"][11:19]), web.text(entry["text"])] for entry in reversed(self.texts)]
        body = web.table(["Time (UTC)", "Text"], rows, "Texts will stand here. Close a deal in the CRM to get one.")
        return self.system.page(request, "The team's chat, channel sales.", body)

    async def state(self, request: Request) -> Response:
        return self.system.state(texts=list(self.texts))


def main() -> None:
    options = web.arguments(__doc__ or "").parse_args()
    chat = Chat(web.System("Chat", options))
    web.serve(
        [
            Route("/", chat.page),
            Route("/services/{path}", chat.post, methods=["POST"]),
            Route("/demo/state", chat.state),
        ],
        options,
    )


if __name__ == "__main__":
    main()
