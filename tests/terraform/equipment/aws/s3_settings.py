"""The settings of a bucket, each a resource of its own."""

from abc import abstractmethod
from typing import Any, ClassVar

from equipment.arguments import ANY, anything, one_of
from equipment.resource import Gone, Resource, gone_if
from equipment.values import State

ALGORITHMS = ("AES256", "aws:backup", "aws:fsx", "aws:kms", "aws:kms:dsse")
OWNERSHIPS = ("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")
MINIMUM_SIZES = ("varies_by_storage_class", "all_storage_classes_128K")
CLASSES = ("GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR")


class BucketSetting(Resource):
    """Something that is put on a bucket as a whole; its id is the bucket's name."""

    replaces = ("bucket", "region")
    missing: ClassVar[tuple[str, ...]] = ()
    """Error codes with which S3 says that the bucket has no such setting."""

    def client(self, state: State) -> Any:
        return self.aws.client("s3", state["region"])

    @abstractmethod
    def put(self, state: State) -> None:
        """Put it on the bucket."""

    @abstractmethod
    def get(self, s3: Any, bucket: str) -> State:
        """What the bucket has."""

    def create(self, planned: State) -> State:
        self.put(planned)
        return self.read({**planned, "id": planned["bucket"]})

    def update(self, prior: State, planned: State) -> State:
        self.put(planned)
        return self.read(planned)

    def read(self, state: State) -> State:
        with gone_if("NoSuchBucket", *self.missing):
            found = self.get(self.client(state), state["id"])
        return {"id": state["id"], "bucket": state["id"], **found}


class Versioning(BucketSetting):
    arguments: ClassVar = {
        "bucket": ANY,
        "versioning_configuration.status": one_of(
            "s3", "BucketVersioningStatus", "Enabled", "Suspended", own=("Disabled",)
        ),
    }

    def put(self, state: State) -> None:
        status = state["versioning_configuration"][0]["status"]
        self.client(state).put_bucket_versioning(
            Bucket=state["bucket"], VersioningConfiguration={"Status": status}
        )

    def get(self, s3: Any, bucket: str) -> State:
        status = s3.get_bucket_versioning(Bucket=bucket).get("Status", "Disabled")
        return {"versioning_configuration": [{"status": status, "mfa_delete": ""}]}

    def delete(self, state: State) -> None:
        suspended = {"Status": "Suspended"}
        self.client(state).put_bucket_versioning(Bucket=state["id"], VersioningConfiguration=suspended)


class ObjectLock(BucketSetting):
    arguments: ClassVar = {
        **anything("bucket", "rule.default_retention.days", "rule.default_retention.years"),
        "object_lock_enabled": one_of("s3", "ObjectLockEnabled", "Enabled"),
        "rule.default_retention.mode": one_of("s3", "ObjectLockRetentionMode", "GOVERNANCE", "COMPLIANCE"),
    }
    missing = ("ObjectLockConfigurationNotFoundError",)
    defaults: ClassVar = {"object_lock_enabled": "Enabled"}

    def put(self, state: State) -> None:
        retention = state["rule"][0]["default_retention"][0]
        rule = {"Mode": retention["mode"], "Days": retention["days"], "Years": retention["years"]}
        wanted = {name: value for name, value in rule.items() if value}
        self.client(state).put_object_lock_configuration(
            Bucket=state["bucket"],
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": wanted}},
        )

    def get(self, s3: Any, bucket: str) -> State:
        found = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        retention = found.get("Rule", {}).get("DefaultRetention", {})
        rule = {
            "mode": retention.get("Mode"),
            "days": retention.get("Days") or None,
            "years": retention.get("Years") or None,  # moto says 0 where AWS says nothing
        }
        return {
            "object_lock_enabled": found["ObjectLockEnabled"],
            "rule": [{"default_retention": [rule]}] if retention else [],
        }

    def delete(self, state: State) -> None:
        s3 = self.client(state)
        try:
            s3.put_object_lock_configuration(
                Bucket=state["id"], ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
            )
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "InvalidBucket":  # moto, not AWS, wants the bucket empty
                raise


class Encryption(BucketSetting):
    arguments: ClassVar = {
        "bucket": ANY,
        "rule.apply_server_side_encryption_by_default.sse_algorithm": one_of(
            "s3", "ServerSideEncryption", *ALGORITHMS
        ),
        "rule.blocked_encryption_types": one_of("s3", "EncryptionType", "NONE", "SSE-C"),
    }
    missing = ("ServerSideEncryptionConfigurationNotFoundError",)

    def put(self, state: State) -> None:
        rule = state["rule"][0]
        algorithm = rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"]
        blocked = {"EncryptionType": list(rule["blocked_encryption_types"] or ["NONE"])}
        default = {"SSEAlgorithm": algorithm}
        rules = [{"ApplyServerSideEncryptionByDefault": default, "BlockedEncryptionTypes": blocked}]
        self.client(state).put_bucket_encryption(
            Bucket=state["bucket"], ServerSideEncryptionConfiguration={"Rules": rules}
        )

    def get(self, s3: Any, bucket: str) -> State:
        answer = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        default = answer["Rules"][0]["ApplyServerSideEncryptionByDefault"]
        by_default = {
            "sse_algorithm": default["SSEAlgorithm"],
            "kms_master_key_id": default.get("KMSMasterKeyID") or None,
        }
        rule = {
            "apply_server_side_encryption_by_default": [by_default],
            "blocked_encryption_types": None,
            "bucket_key_enabled": None,
        }
        return {"rule": [rule]}

    def read(self, state: State) -> State:
        found = super().read(state)
        # moto forgets them, so what was put there is believed
        for rule in state["rule"]:
            found["rule"][0]["blocked_encryption_types"] = rule["blocked_encryption_types"]
        return found

    def delete(self, state: State) -> None:
        self.client(state).delete_bucket_encryption(Bucket=state["id"])


class PublicAccessBlock(BucketSetting):
    arguments: ClassVar = {
        **anything("bucket", "block_public_acls", "block_public_policy"),
        **anything("ignore_public_acls", "restrict_public_buckets"),
    }
    missing = ("NoSuchPublicAccessBlockConfiguration",)
    names: ClassVar = {
        "block_public_acls": "BlockPublicAcls",
        "block_public_policy": "BlockPublicPolicy",
        "ignore_public_acls": "IgnorePublicAcls",
        "restrict_public_buckets": "RestrictPublicBuckets",
    }

    def put(self, state: State) -> None:
        wanted = {name: bool(state[argument]) for argument, name in self.names.items()}
        self.client(state).put_public_access_block(
            Bucket=state["bucket"], PublicAccessBlockConfiguration=wanted
        )

    def get(self, s3: Any, bucket: str) -> State:
        found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        return {argument: found[name] for argument, name in self.names.items()}

    def delete(self, state: State) -> None:
        self.client(state).delete_public_access_block(Bucket=state["id"])


class OwnershipControls(BucketSetting):
    arguments: ClassVar = {
        "bucket": ANY,
        "rule.object_ownership": one_of("s3", "ObjectOwnership", *OWNERSHIPS),
    }
    missing = ("OwnershipControlsNotFoundError",)

    def put(self, state: State) -> None:
        rules = [{"ObjectOwnership": rule["object_ownership"]} for rule in state["rule"]]
        self.client(state).put_bucket_ownership_controls(
            Bucket=state["bucket"], OwnershipControls={"Rules": rules}
        )

    def get(self, s3: Any, bucket: str) -> State:
        rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        return {"rule": [{"object_ownership": rule["ObjectOwnership"]} for rule in rules]}

    def delete(self, state: State) -> None:
        self.client(state).delete_bucket_ownership_controls(Bucket=state["id"])


class BucketPolicy(BucketSetting):
    arguments: ClassVar = {
        **anything("bucket", "policy"),
    }
    missing = ("NoSuchBucketPolicy",)
    json_arguments = ("policy",)

    def put(self, state: State) -> None:
        self.client(state).put_bucket_policy(Bucket=state["bucket"], Policy=state["policy"])

    def get(self, s3: Any, bucket: str) -> State:
        return {"policy": s3.get_bucket_policy(Bucket=bucket)["Policy"]}

    def delete(self, state: State) -> None:
        self.client(state).delete_bucket_policy(Bucket=state["id"])


class Lifecycle(BucketSetting):
    """Understands filters by prefix only, which is all that the modules use."""

    arguments: ClassVar = {
        **anything("bucket", "rule.id", "rule.filter.prefix", "rule.transition.days", "rule.expiration.days"),
        **anything("rule.expiration.expired_object_delete_marker"),
        **anything("rule.noncurrent_version_expiration.noncurrent_days"),
        **anything("rule.noncurrent_version_expiration.newer_noncurrent_versions"),
        **anything("rule.abort_incomplete_multipart_upload.days_after_initiation"),
        "transition_default_minimum_object_size": one_of(
            "s3", "TransitionDefaultMinimumObjectSize", *MINIMUM_SIZES
        ),
        "rule.status": one_of("s3", "ExpirationStatus", "Enabled", "Disabled"),
        "rule.transition.storage_class": one_of("s3", "TransitionStorageClass", *CLASSES),
    }
    missing = ("NoSuchLifecycleConfiguration",)

    def put(self, state: State) -> None:
        rules = [_rule_for_s3(rule) for rule in state["rule"]]
        self.client(state).put_bucket_lifecycle_configuration(
            Bucket=state["bucket"], LifecycleConfiguration={"Rules": rules}
        )

    def get(self, s3: Any, bucket: str) -> State:
        answer = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
        if not answer.get("Rules"):
            raise Gone
        return {"rule": [_rule_from_s3(rule) for rule in answer["Rules"]]}

    def read(self, state: State) -> State:
        size = state["transition_default_minimum_object_size"]
        chosen = size if isinstance(size, str) else "all_storage_classes_128K"
        return {**super().read(state), "transition_default_minimum_object_size": chosen}

    def delete(self, state: State) -> None:
        self.client(state).delete_bucket_lifecycle(Bucket=state["id"])


def _rule_for_s3(rule: State) -> dict[str, Any]:
    wanted: dict[str, Any] = {"ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": _prefix(rule)}}
    if rule["transition"]:
        wanted["Transitions"] = [
            {"Days": int(each["days"]), "StorageClass": each["storage_class"]} for each in rule["transition"]
        ]
    for expiration in rule["expiration"]:
        marker = expiration["expired_object_delete_marker"] is True
        wanted["Expiration"] = (
            {"ExpiredObjectDeleteMarker": True} if marker else {"Days": int(expiration["days"])}
        )
    for old in rule["noncurrent_version_expiration"]:
        kept = old["newer_noncurrent_versions"]
        wanted["NoncurrentVersionExpiration"] = {
            "NoncurrentDays": int(old["noncurrent_days"]),
            **({"NewerNoncurrentVersions": int(kept)} if kept else {}),
        }
    for upload in rule["abort_incomplete_multipart_upload"]:
        wanted["AbortIncompleteMultipartUpload"] = {
            "DaysAfterInitiation": int(upload["days_after_initiation"])
        }
    return wanted


def _prefix(rule: State) -> str:
    return next((each["prefix"] for each in rule["filter"] if isinstance(each["prefix"], str)), "")


def _rule_from_s3(rule: dict[str, Any]) -> State:
    expiration, old = rule.get("Expiration"), rule.get("NoncurrentVersionExpiration")
    upload = rule.get("AbortIncompleteMultipartUpload")
    prefix = rule.get("Filter", {}).get("Prefix", "")
    by_prefix = {"object_size_greater_than": None, "object_size_less_than": None, "prefix": prefix}
    return {
        "id": rule["ID"],
        "prefix": "",
        "status": rule["Status"],
        "filter": [{**by_prefix, "and": [], "tag": []}],
        "transition": [
            {"days": each["Days"], "date": None, "storage_class": each["StorageClass"]}
            for each in rule.get("Transitions", [])
        ],
        "noncurrent_version_transition": [],
        "expiration": [_expiration(expiration)] if expiration else [],
        "noncurrent_version_expiration": [_noncurrent(old)] if old else [],
        "abort_incomplete_multipart_upload": (
            [{"days_after_initiation": upload["DaysAfterInitiation"]}] if upload else []
        ),
    }


def _expiration(found: dict[str, Any]) -> State:
    marker = found.get("ExpiredObjectDeleteMarker", False)
    return {"date": None, "days": found.get("Days", 0), "expired_object_delete_marker": marker}


def _noncurrent(found: dict[str, Any]) -> State:
    kept = found.get("NewerNoncurrentVersions")
    return {"noncurrent_days": found["NoncurrentDays"], "newer_noncurrent_versions": kept}
