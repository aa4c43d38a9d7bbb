"""The chat: accepts the JSON of Slack's incoming webhooks, `{"text": "..."}`, and shows the messages.

As with Slack, the URL is the secret: anyone who knows it can post, and the answer is the plain text `ok`.
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
        self.messages: deque[dict[str, Any]] = deque(maxlen=200)

    async def post(self, request: Request) -> Response:
        if not hmac.compare_digest(request.path_params["path"].encode(), self.path.encode()):
            return PlainTextResponse("no_service", 404)
        try:
            message = json.loads(await request.body())["text"]
        except (ValueError, KeyError, TypeError):
            return PlainTextResponse("invalid_payload", 400)
        if not isinstance(message, str) or not message:
            return PlainTextResponse("no_text", 400)
        self.system.counts["messages"] += 1
        self.messages.append({"text": message, "at": web.now()})
        return PlainTextResponse("ok")

    async def page(self, request: Request) -> Response:
        rows = [[web.text(entry["at"][11:19]), web.text(entry["text"])] for entry in reversed(self.messages)]
        body = web.table(["Time (UTC)", "Message"], rows, "There are no messages. Close a deal in the CRM to get one.")
        return self.system.page(request, "The team's chat, channel sales.", body)

    async def state(self, request: Request) -> Response:
        return self.system.state(messages=list(self.messages))


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
