"""The company's website: one page with a lead form whose action is the gateway.

The website is not involved when the form is sent: the browser posts to `/in/leads` of the gateway, which redirects it
to `/thanks`.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate_company import web


class Website:
    def __init__(self, system: web.System) -> None:
        self.system = system

    async def page(self, request: Request) -> Response:
        self.system.counts["pages"] += 1
        action = f"{self.system.options.gateway}/in/leads"
        return self.system.page(
            request,
            "Boats, ropes and good coffee. The form below posts straight to the gateway.",
            f"""<form method="post" action="{web.text(action)}" class="stack">
<label>Your name <input name="name" required></label>
<label>Your address <input name="email" type="email" required></label>
<label>What are you looking for <input name="interest"></label>
<label class="gone" aria-hidden="true">Leave this empty <input name="website" tabindex="-1" autocomplete="off"></label>
<button class="main">Ask us</button></form>""",
        )

    async def thanks(self, request: Request) -> Response:
        self.system.counts["thanked"] += 1
        return self.system.page(request, "Thank you. Somebody will write to you today.", '<p><a href="/">Back</a></p>')

    async def state(self, request: Request) -> Response:
        return self.system.state()


def main() -> None:
    options = web.arguments(__doc__ or "").parse_args()
    website = Website(web.System("Website", options))
    web.serve(
        [Route("/", website.page), Route("/thanks", website.thanks), Route("/demo/state", website.state)], options
    )


if __name__ == "__main__":
    main()
