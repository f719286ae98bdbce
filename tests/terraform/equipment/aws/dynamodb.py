"""The table that locks the state for older Terraform."""

from typing import Any, ClassVar

from equipment.arguments import anything, one_of
from equipment.resource import Resource, as_dict, as_list, gone_if
from equipment.values import State


class Table(Resource):
    """Understands what a lock table needs: one string key, billing by request."""

    arguments: ClassVar = {
        **anything("name", "hash_key", "deletion_protection_enabled", "attribute.name"),
        **anything("point_in_time_recovery.enabled"),
        "billing_mode": one_of("dynamodb", "BillingMode", "PROVISIONED", "PAY_PER_REQUEST"),
        "attribute.type": one_of("dynamodb", "ScalarAttributeType", "S", "N", "B"),
    }
    replaces = ("name", "hash_key", "region")
    defaults: ClassVar = {"billing_mode": "PROVISIONED", "deletion_protection_enabled": False}

    def client(self, state: State) -> Any:
        return self.aws.client("dynamodb", state["region"])

    def create(self, planned: State) -> State:
        attributes = [{"AttributeName": a["name"], "AttributeType": a["type"]} for a in planned["attribute"]]
        self.client(planned).create_table(
            TableName=planned["name"],
            BillingMode=planned["billing_mode"],
            KeySchema=[{"AttributeName": planned["hash_key"], "KeyType": "HASH"}],
            AttributeDefinitions=attributes,
            DeletionProtectionEnabled=planned["deletion_protection_enabled"],
            Tags=as_list(planned["tags_all"]),
        )
        self._put_recovery(planned)
        return self.read({**planned, "id": planned["name"]})

    def read(self, state: State) -> State:
        name, dynamodb = state["id"], self.client(state)
        with gone_if("ResourceNotFoundException"):
            table = dynamodb.describe_table(TableName=name)["Table"]
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        return {
            "id": name,
            "name": name,
            "arn": table["TableArn"],
            "billing_mode": table["BillingModeSummary"]["BillingMode"],
            "hash_key": table["KeySchema"][0]["AttributeName"],
            "deletion_protection_enabled": table["DeletionProtectionEnabled"],
            "point_in_time_recovery": [{"enabled": recovery, "recovery_period_in_days": None}],
            **self.tags(as_dict(tags)),
        }

    def update(self, prior: State, planned: State) -> State:
        self.client(planned).update_table(
            TableName=prior["id"], DeletionProtectionEnabled=planned["deletion_protection_enabled"]
        )
        self._put_recovery(planned)
        return self.read({**planned, "id": prior["id"]})

    def delete(self, state: State) -> None:
        self.client(state).delete_table(TableName=state["id"])

    def _put_recovery(self, wanted: State) -> None:
        enabled = any(block["enabled"] for block in wanted["point_in_time_recovery"])
        self.client(wanted).update_continuous_backups(
            TableName=wanted["name"],
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled},
        )
