"""Who calls: the key is in the header `Authorization: DeepL-Auth-Key`, or in a field `auth_key`."""

from typing import Annotated

from fastapi import Depends, Request

from service.access import Caller
from service.api.bodies import Fields
from service.api.dependencies import authorize
from service.scopes import KeyScope


class _With:
    """Dependency: a caller whose key is good for a scope; None takes any key."""

    def __init__(self, scope: KeyScope | None) -> None:
        self._scope = scope

    async def __call__(self, request: Request, fields: Fields) -> Caller:
        key = fields.get("auth_key")
        return await authorize(request, key if isinstance(key, str) else None, self._scope)


AnyCaller = Annotated[Caller, Depends(_With(None))]
TranslatingCaller = Annotated[Caller, Depends(_With("translate"))]
DocumentCaller = Annotated[Caller, Depends(_With("documents"))]
GlossaryCaller = Annotated[Caller, Depends(_With("glossaries"))]
