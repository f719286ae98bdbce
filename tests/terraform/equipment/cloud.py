"""An AWS in memory: moto's server, and boto3 clients that talk to it."""

import json
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import boto3
import flask
import requests
from botocore.config import Config
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer

from equipment.policies import Decision, Request, decide

# The loopback connection stands for TLS, which every real client uses.
_TRANSPORT = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
_HEADERS = {
    "x-amz-server-side-encryption": "s3:x-amz-server-side-encryption",
    "x-amz-object-lock-mode": "s3:object-lock-mode",
}


class Cloud:
    """One account, 123456789012, empty again after `reset`."""

    def __init__(self) -> None:
        # moto takes a Deny whose condition is not met for a Deny, and would refuse everything.
        self._patch = mock.patch.object(FakeBucket, "get_permission", _bucket_permission)
        self._patch.start()
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"

    def client(self, service: str, region: str = "ap-northeast-1") -> Any:
        """A boto3 client of this cloud."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="AKIATEST",
            aws_secret_access_key="test",  # noqa: S106
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def reset(self) -> None:
        """Forgets everything."""
        requests.post(f"{self.endpoint}/moto-api/reset", timeout=10).raise_for_status()

    def stop(self) -> None:
        self._server.stop()
        self._patch.stop()


def _remaining_days() -> dict[str, str]:
    """What S3 makes of the date until which an upload is to be locked."""
    until = flask.request.headers.get("x-amz-object-lock-retain-until-date")
    if until is None:
        return {}
    left = datetime.fromisoformat(until.replace("Z", "+00:00")) - datetime.now(UTC)
    return {"s3:object-lock-remaining-retention-days": str(left.days)}


def _bucket_permission(bucket: Any, action: str, resource: str) -> Any:
    """What the bucket's policy says to the request that is being answered."""
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    headers = {
        key: flask.request.headers[name] for name, key in _HEADERS.items() if name in flask.request.headers
    }
    request = Request(action, resource, {**_TRANSPORT, **headers, **_remaining_days()})
    decision = decide(request, [json.loads(bucket.policy)])
    return {
        Decision.DENIED: PermissionResult.DENIED,
        Decision.ALLOWED: PermissionResult.PERMITTED,
        Decision.NOT_ALLOWED: PermissionResult.NEUTRAL,
    }[decision]
