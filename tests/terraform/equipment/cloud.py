"""An AWS in memory: moto's server, and boto3 clients that talk to it."""

from typing import Any
from unittest import mock

import boto3
import requests
from botocore.config import Config
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer


class Cloud:
    """One account, 123456789012, empty again after `reset`."""

    def __init__(self) -> None:
        # moto takes a Deny whose condition is not met for a Deny, and would refuse everything. What the
        # bucket's policy refuses is in test_permissions.py.
        neutral = mock.Mock(return_value=PermissionResult.NEUTRAL)
        self._patch = mock.patch.object(FakeBucket, "get_permission", neutral)
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
        requests.post(f"{self.endpoint}/moto-api/reset", timeout=120).raise_for_status()

    def stop(self) -> None:
        self._server.stop()
        self._patch.stop()
