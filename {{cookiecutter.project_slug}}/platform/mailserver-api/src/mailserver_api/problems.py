"""Answers that are not 200, as problem+json (RFC 9457)."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from mailserver_api.verdicts import Outcome, Verdict

RETRY_AFTER_SECONDS = {Verdict.TEMPORARY: 60, Verdict.HOLDING: 60, Verdict.BUSY: 10}
#: Of an answer to a caller who showed no token: it cannot hold a connection by a body that never ends.
CLOSE = {"Connection": "close"}
VERDICT_HEADER = "X-Mail-Verdict"
# On a refusal: what the filter has against the message. The Worker tells it to the sender.
REASON_HEADER = "X-Mail-Reason"


class Problem(Exception):
    """Ends a call with a verdict; `detail` tells a person what happened, `field/value/fix` what to change.

    The header X-Mail-Verdict marks the answer as ours: a 404 of a proxy on the way has no such header and
    must not bounce mail.
    """

    def __init__(
        self,
        verdict: Verdict,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.verdict = verdict
        self.detail = detail
        self.status = status or verdict.status
        self._headers = headers or {}
        self._members = members

    def response(self) -> JSONResponse:
        """The HTTP answer."""
        headers = {VERDICT_HEADER: self.verdict.label, **self._headers}
        if self.verdict in RETRY_AFTER_SECONDS:
            headers["Retry-After"] = str(RETRY_AFTER_SECONDS[self.verdict])
        if self.verdict is Verdict.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        body = {
            "type": "about:blank",
            "title": self.verdict.title,
            "status": self.status,
            "detail": self.detail,
            "verdict": self.verdict.label,
            **self._members,
        }
        return JSONResponse(body, self.status, headers, media_type="application/problem+json")


def malformed(field: str, value: str, detail: str, fix: str) -> Problem:
    """400: a header of the call is wrong; the value is cut to 100 characters."""
    return Problem(Verdict.MALFORMED, f"{field}: {detail}", field=field, value=value[:100], fix=fix)


def from_outcome(outcome: Outcome) -> Problem:
    """Problem for a message that postfix did not take."""
    reply = outcome.reply
    if reply is None:
        return Problem(outcome.verdict, outcome.verdict.title)
    smtp = {"stage": str(reply.stage), "code": reply.code, "text": reply.text}
    reason = reply.reason if outcome.verdict is Verdict.REFUSED else None
    if reason is None:
        return Problem(outcome.verdict, f"postfix: {reply}", smtp=smtp)
    headers = {REASON_HEADER: reason}
    return Problem(outcome.verdict, f"postfix: {reply}", headers=headers, smtp=smtp, reason=reason)
