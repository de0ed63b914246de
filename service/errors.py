"""Every failure a caller can meet.

    class                        code                  status
    ServiceError                 internal_error        500
      InvalidRequest             invalid_request       400
        UnsupportedPair          unsupported_pair      400
        TextTooLong              text_too_long         413
        TooLarge                 too_large             413
        InvalidDocument          invalid_document      400
        UnsupportedFormat        unsupported_format    415
        NotFound                 not_found             404
          UnknownModel           unknown_model         404
        MethodNotAllowed         method_not_allowed    405
      Unauthorized               unauthorized          401
        KeyRequired              key_required          401
      Forbidden                  forbidden             403
      RateLimited                rate_limited          429
      QuotaExceeded              quota_exceeded        429
      NotReady                   not_ready             409
      UnusableModel              unusable_model        409
      Conflict                   conflict              409
      PromotionRefused           promotion_refused     409
      Overloaded                 overloaded            503
      StoreUnavailable           store_unavailable     503
      DeadlineExceeded           deadline_exceeded     504
      ModelFailure               model_failure         500

Raise the narrowest class where the failure is found and let it travel; `api/` renders it
once. The message is for the caller: it names the value at fault and the limit, never a
file, a stack or the text that was being translated.
"""

from collections.abc import Iterator
from typing import ClassVar


class ServiceError(Exception):
    """Base of all failures a caller can meet."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    retry_after_seconds: int | None = None
    """Whole seconds, at least 1, after which trying again may succeed, if it may."""

    def __init__(
        self, message: str, *, field: str | None = None, limit: float | None = None
    ) -> None:
        super().__init__(message)
        self.field = field
        """The part of the request that is at fault, such as `beam`, where one can be named."""
        self.limit = limit
        """The number that the value at fault broke, where there is one."""


class InvalidRequest(ServiceError):
    """The request cannot be served as it stands."""

    code = "invalid_request"
    status = 400


class UnsupportedPair(InvalidRequest):
    """No loaded model translates between these languages."""

    code = "unsupported_pair"


class TextTooLong(InvalidRequest):
    """A text has more characters than the service accepts."""

    code = "text_too_long"
    status = 413


class TooLarge(InvalidRequest):
    """The body of the request has more bytes than the service accepts."""

    code = "too_large"
    status = 413


class InvalidDocument(InvalidRequest):
    """A file is damaged, is not what its name says, or holds what is not accepted."""

    code = "invalid_document"


class UnsupportedFormat(InvalidRequest):
    """Files of this format cannot be translated."""

    code = "unsupported_format"
    status = 415


class NotFound(InvalidRequest):
    """There is nothing at this path, or nothing by this name."""

    code = "not_found"
    status = 404


class UnknownModel(NotFound):
    """There is no model of this name, or not this version of it."""

    code = "unknown_model"


class MethodNotAllowed(InvalidRequest):
    """The path does not have this method; the header `Allow` names those it has."""

    code = "method_not_allowed"
    status = 405


class Unauthorized(ServiceError):
    """The key is not one of this service, has expired or was revoked."""

    code = "unauthorized"
    status = 401


class KeyRequired(Unauthorized):
    """There is no key in a request that needs one."""

    code = "key_required"


class Forbidden(ServiceError):
    """The key is good, but not for this."""

    code = "forbidden"
    status = 403


class RateLimited(ServiceError):
    """This caller asks too often; others are served meanwhile."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, *, rate: str, limit: int, retry_after_seconds: int) -> None:
        super().__init__(message, limit=limit)
        self.rate = rate
        """The limit in words, such as `60 per 1 minute`."""
        self.retry_after_seconds = retry_after_seconds


class QuotaExceeded(ServiceError):
    """The characters of this key for this month are used up."""

    code = "quota_exceeded"
    status = 429

    def __init__(self, message: str, *, limit: int, retry_after_seconds: int) -> None:
        super().__init__(message, limit=limit)
        self.retry_after_seconds = retry_after_seconds


class NotReady(ServiceError):
    """What is asked for is still being made; later it will be there."""

    code = "not_ready"
    status = 409
    retry_after_seconds = 1


class UnusableModel(ServiceError):
    """The bundle of this version of a model is damaged, or does not run here."""

    code = "unusable_model"
    status = 409

    def __init__(self, identity: str, reason: str) -> None:
        super().__init__(f"the model {identity} cannot be used: {reason}")
        self.reason = reason
        """Without the name."""


class Conflict(ServiceError):
    """What is asked for contradicts what was asked for before."""

    code = "conflict"
    status = 409


class PromotionRefused(ServiceError):
    """The version may not serve: it is not shown to be as good, or there is none to go back to."""

    code = "promotion_refused"
    status = 409


class Overloaded(ServiceError):
    """More work is waiting than the service wants to keep; later it may succeed."""

    code = "overloaded"
    status = 503

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StoreUnavailable(ServiceError):
    """What the service keeps cannot be read or written now."""

    code = "store_unavailable"
    status = 503
    retry_after_seconds = 5


class DeadlineExceeded(ServiceError):
    """The time that the caller wanted to wait is over."""

    code = "deadline_exceeded"
    status = 504


class ModelFailure(ServiceError):
    """Decoding failed for a reason the caller cannot help."""

    code = "model_failure"


def restored(code: str, message: str) -> ServiceError:
    """Return a failure of which only this was kept."""
    classes = {each.code: each for each in _subclasses(ServiceError)}
    cls = classes.get(code, ServiceError)
    failure = cls.__new__(cls, message)
    ServiceError.__init__(failure, message)  # some ask for what was not kept
    return failure


def _subclasses(cls: type[ServiceError]) -> Iterator[type[ServiceError]]:
    yield cls
    for each in cls.__subclasses__():
        yield from _subclasses(each)
