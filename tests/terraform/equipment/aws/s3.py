"""The bucket itself."""

from typing import Any, ClassVar

from equipment.arguments import ANY, anything
from equipment.resource import Resource, as_dict, as_list, gone_if
from equipment.values import State


class Bucket(Resource):
    arguments: ClassVar = {
        **anything("bucket", "object_lock_enabled"),
        "force_destroy": ANY,
    }
    replaces = ("bucket", "bucket_prefix", "object_lock_enabled", "region")
    defaults: ClassVar = {"force_destroy": False}

    def client(self, state: State) -> Any:
        return self.aws.client("s3", state["region"])

    def plan(self, prior: State | None, planned: State, config: State) -> State:
        planned = super().plan(prior, planned, config)
        if prior is None and config["object_lock_enabled"] is None:
            planned["object_lock_enabled"] = False
        return planned

    def create(self, planned: State) -> State:
        region, name = planned["region"], planned["bucket"]
        options: dict[str, Any] = {}
        if region != "us-east-1":
            options["CreateBucketConfiguration"] = {"LocationConstraint": region}
        if planned["object_lock_enabled"]:
            options["ObjectLockEnabledForBucket"] = True
        self.client(planned).create_bucket(Bucket=name, **options)
        self._tag(planned)
        return self.read({**planned, "id": name})

    def read(self, state: State) -> State:
        name, region = state["id"], state["region"] or self.aws.region
        s3 = self.aws.client("s3", region)
        with gone_if("404", "NoSuchBucket"):
            s3.head_bucket(Bucket=name)
        return {
            "id": name,
            "bucket": name,
            "region": region,
            "bucket_region": region,
            "arn": f"arn:aws:s3:::{name}",
            "bucket_domain_name": f"{name}.s3.amazonaws.com",
            "bucket_regional_domain_name": f"{name}.s3.{region}.amazonaws.com",
            "object_lock_enabled": _is_locked(s3, name),
            "force_destroy": bool(state["force_destroy"]),
            **self.tags(_tags(s3, name)),
        }

    def update(self, prior: State, planned: State) -> State:
        if prior["tags_all"] != planned["tags_all"]:
            self._tag(planned)
        return self.read(planned)

    def delete(self, state: State) -> None:
        if state["force_destroy"]:
            self._empty(state)
        self.client(state).delete_bucket(Bucket=state["id"])

    def _empty(self, state: State) -> None:
        s3, name = self.client(state), state["id"]
        found = s3.list_object_versions(Bucket=name)
        for each in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])

    def _tag(self, planned: State) -> None:
        tags = {"TagSet": as_list(planned["tags_all"])}
        self.client(planned).put_bucket_tagging(Bucket=planned["bucket"], Tagging=tags)


def _tags(s3: Any, name: str) -> dict[str, str]:
    try:
        return as_dict(s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return {}


def _is_locked(s3: Any, name: str) -> bool:
    try:
        answer = s3.get_object_lock_configuration(Bucket=name)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
            raise
        return False
    return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
