"""When the work for a caller is counted: at the end of the answer, if it was one."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

FIRST_FAILURE = 400
"""Of the statuses: from here on nothing was done."""


class Settlement:
    """ASGI middleware: counts what `authorize` held for a request, or gives it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        status = FIRST_FAILURE

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        finally:
            caller = scope.get("state", {}).get("caller")
            if caller:
                caller.settle(is_done=status < FIRST_FAILURE)
