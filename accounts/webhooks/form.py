"""What a delivery looks like on the wire: its body in the form that the receiver reads, and its signature.

`Latchkey-Signature: t=<Unix seconds>,v1=<hex>` is HMAC-SHA-256 with the webhook's secret over `<t>.<body>`. A receiver computes it
over the bytes that came, compares in constant time, and refuses what is older than five minutes, so that a copy is worth nothing
later. The time is that of the try, and each try is signed anew.
"""

import datetime
import hashlib
import hmac
import json
from typing import Any

from accounts.models.webhooks import WebhookFormat

SIGNATURE_HEADER = "Latchkey-Signature"
ID_HEADER = "Latchkey-Delivery"
_CARD = "application/vnd.microsoft.card.adaptive"


def body_of(form: WebhookFormat, payload: dict[str, Any]) -> bytes:
    """The body. What people named stands in chats as text: their markup is taken out of it."""
    match form:
        case WebhookFormat.SLACK:
            told: dict[str, Any] = {"text": _slack(payload)}
        case WebhookFormat.TEAMS:
            told = _teams(payload)
        case _:
            told = payload
    return json.dumps(told, separators=(",", ":")).encode()


def signature(secret: str, body: bytes, *, now: datetime.datetime) -> str:
    """The value of the header."""
    at = str(int(now.timestamp()))
    digest = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"


def _slack(payload: dict[str, Any]) -> str:
    """In Slack's mrkdwn, where these three characters begin what is no text."""
    text = payload["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{text}\n<{payload['link']}>" if payload["link"] else text


def _teams(payload: dict[str, Any]) -> dict[str, Any]:
    """A message with an adaptive card; a TextRun reads no Markdown."""
    run = {"type": "TextRun", "text": payload["text"]}
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "RichTextBlock", "inlines": [run]}],
    }
    if payload["link"]:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Latchkey", "url": payload["link"]}]
    return {"type": "message", "attachments": [{"contentType": _CARD, "content": card}]}
