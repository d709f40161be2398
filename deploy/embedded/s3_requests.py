"""Signed requests to an S3 store with the standard library alone: as much of AWS's signature, version 4, as a health check needs."""

import hashlib
import hmac
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime

_SECONDS = 60
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Credentials:
    """A key of the store, and its region."""

    access_key: str
    secret_key: str
    region: str


def presigned_url(method: str, url: str, credentials: Credentials, now: datetime) -> str:
    """Return a URL without a query, signed for a minute from `now`, which has a time zone."""
    parts = urllib.parse.urlsplit(url)
    time = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{credentials.region}/s3/aws4_request"
    query = urllib.parse.urlencode(
        {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{credentials.access_key}/{scope}",
            "X-Amz-Date": time,
            "X-Amz-Expires": str(_SECONDS),
            "X-Amz-SignedHeaders": "host",
        },
        quote_via=urllib.parse.quote,
        safe="",
    )
    request = "\n".join((method, parts.path, query, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    text = "\n".join(("AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{url}?{query}&X-Amz-Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"


def bucket_exists(endpoint_url: str, bucket: str, credentials: Credentials) -> bool:
    """Tell whether the store answers that there is the bucket and that this key may list it."""
    url = presigned_url("HEAD", f"{endpoint_url}/{bucket}", credentials, datetime.now(UTC))
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - an address of the settings
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_TIMEOUT_SECONDS):
            return True
    except OSError:  # URLError and HTTPError are OSErrors
        return False
