"""Users, policies, roles and the identity provider for GitHub."""

from typing import Any, ClassVar

from equipment.arguments import anything
from equipment.resource import DataSource, Gone, Resource, Unsupported, as_dict, as_list, gone_if, json_text
from equipment.values import State


class IamResource(Resource):
    def client(self, state: State) -> Any:
        return self.aws.client("iam", "us-east-1")

    @property
    def iam(self) -> Any:
        return self.aws.client("iam", "us-east-1")


class User(IamResource):
    arguments: ClassVar = {
        **anything("name", "path", "permissions_boundary"),
    }
    replaces = ("path",)
    defaults: ClassVar = {"path": "/", "force_destroy": False}

    def create(self, planned: State) -> State:
        boundary = planned["permissions_boundary"]
        options = {"PermissionsBoundary": boundary} if boundary else {}
        self.iam.create_user(
            UserName=planned["name"], Path=planned["path"], Tags=as_list(planned["tags_all"]), **options
        )
        return self.read({**planned, "id": planned["name"]})

    def read(self, state: State) -> State:
        with gone_if("NoSuchEntity"):
            user = self.iam.get_user(UserName=state["id"])["User"]
        return {
            "id": user["UserName"],
            "name": user["UserName"],
            "path": user["Path"],
            "arn": user["Arn"],
            "unique_id": user["UserId"],
            # moto forgets the boundary of a user (not of a role), so what was put there is believed
            "permissions_boundary": state["permissions_boundary"],
            "force_destroy": bool(state["force_destroy"]),
            **self.tags(as_dict(user.get("Tags", []))),
        }

    def update(self, prior: State, planned: State) -> State:
        name = prior["id"]
        if prior["permissions_boundary"] != planned["permissions_boundary"]:
            raise Unsupported("moto cannot change the boundary of a user")
        if prior["tags_all"] != planned["tags_all"]:
            self.iam.untag_user(UserName=name, TagKeys=list(prior["tags_all"] or {}))
            self.iam.tag_user(UserName=name, Tags=as_list(planned["tags_all"]))
        return self.read({**planned, "id": name})

    def delete(self, state: State) -> None:
        self.iam.delete_user(UserName=state["id"])


class Policy(IamResource):
    arguments: ClassVar = {
        **anything("name", "path", "description", "policy"),
    }
    replaces = ("name", "path", "description")
    defaults: ClassVar = {"path": "/"}
    json_arguments = ("policy",)

    def create(self, planned: State) -> State:
        made = self.iam.create_policy(
            PolicyName=planned["name"],
            Path=planned["path"],
            Description=planned["description"] or "",
            PolicyDocument=planned["policy"],
            Tags=as_list(planned["tags_all"]),
        )
        return self.read({**planned, "id": made["Policy"]["Arn"]})

    def read(self, state: State) -> State:
        arn = state["id"]
        with gone_if("NoSuchEntity"):
            policy = self.iam.get_policy(PolicyArn=arn)["Policy"]
            version = self.iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
        return {
            "id": arn,
            "arn": arn,
            "name": policy["PolicyName"],
            "path": policy["Path"],
            "description": policy.get("Description") or None,
            "policy": json_text(version["PolicyVersion"]["Document"]),
            "policy_id": policy["PolicyId"],
            "attachment_count": policy["AttachmentCount"],
            **self.tags(as_dict(policy.get("Tags", []))),
        }

    def update(self, prior: State, planned: State) -> State:
        arn = prior["id"]
        if prior["policy"] != planned["policy"]:
            self._remove_oldest_version(arn)
            self.iam.create_policy_version(PolicyArn=arn, PolicyDocument=planned["policy"], SetAsDefault=True)
        if prior["tags_all"] != planned["tags_all"]:
            self.iam.untag_policy(PolicyArn=arn, TagKeys=list(prior["tags_all"] or {}))
            self.iam.tag_policy(PolicyArn=arn, Tags=as_list(planned["tags_all"]))
        return self.read({**planned, "id": arn})

    def delete(self, state: State) -> None:
        for version in self._old_versions(state["id"]):
            self.iam.delete_policy_version(PolicyArn=state["id"], VersionId=version)
        self.iam.delete_policy(PolicyArn=state["id"])

    def _old_versions(self, arn: str) -> list[str]:
        versions = self.iam.list_policy_versions(PolicyArn=arn)["Versions"]
        return [each["VersionId"] for each in versions if not each["IsDefaultVersion"]]

    def _remove_oldest_version(self, arn: str) -> None:
        old = self._old_versions(arn)
        if len(old) == 4:  # IAM keeps five
            oldest = min(old, key=lambda version: int(version.removeprefix("v")))
            self.iam.delete_policy_version(PolicyArn=arn, VersionId=oldest)


class UserPolicyAttachment(IamResource):
    arguments: ClassVar = {
        **anything("user", "policy_arn"),
    }
    replaces = ("user", "policy_arn")

    def create(self, planned: State) -> State:
        self.iam.attach_user_policy(UserName=planned["user"], PolicyArn=planned["policy_arn"])
        return {"id": f"{planned['user']}-{planned['policy_arn']}"}

    def read(self, state: State) -> State:
        with gone_if("NoSuchEntity"):
            attached = self.iam.list_attached_user_policies(UserName=state["user"])["AttachedPolicies"]
        if state["policy_arn"] not in {policy["PolicyArn"] for policy in attached}:
            raise Gone
        return {}

    def delete(self, state: State) -> None:
        self.iam.detach_user_policy(UserName=state["user"], PolicyArn=state["policy_arn"])


class Role(IamResource):
    arguments: ClassVar = {
        **anything("name", "path", "description", "assume_role_policy"),
        **anything("max_session_duration", "permissions_boundary"),
    }
    replaces = ("name", "path")
    defaults: ClassVar = {"path": "/", "force_detach_policies": False, "max_session_duration": 3600}
    json_arguments = ("assume_role_policy",)

    def create(self, planned: State) -> State:
        boundary = planned["permissions_boundary"]
        self.iam.create_role(
            RoleName=planned["name"],
            Path=planned["path"],
            AssumeRolePolicyDocument=planned["assume_role_policy"],
            Description=planned["description"] or "",
            MaxSessionDuration=int(planned["max_session_duration"]),
            Tags=as_list(planned["tags_all"]),
            **({"PermissionsBoundary": boundary} if boundary else {}),
        )
        return self.read({**planned, "id": planned["name"]})

    def read(self, state: State) -> State:
        with gone_if("NoSuchEntity"):
            role = self.iam.get_role(RoleName=state["id"])["Role"]
        return {
            "id": role["RoleName"],
            "name": role["RoleName"],
            "path": role["Path"],
            "arn": role["Arn"],
            "unique_id": role["RoleId"],
            "create_date": role["CreateDate"].isoformat(),
            "description": role.get("Description") or None,
            "assume_role_policy": json_text(role["AssumeRolePolicyDocument"]),
            "max_session_duration": role["MaxSessionDuration"],
            "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            **self.tags(as_dict(role.get("Tags", []))),
        }

    def update(self, prior: State, planned: State) -> State:
        name = prior["id"]
        if prior["assume_role_policy"] != planned["assume_role_policy"]:
            document = planned["assume_role_policy"]
            self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
        if prior["permissions_boundary"] != planned["permissions_boundary"]:
            boundary = planned["permissions_boundary"]
            self.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
        if prior["tags_all"] != planned["tags_all"]:
            self.iam.untag_role(RoleName=name, TagKeys=list(prior["tags_all"] or {}))
            self.iam.tag_role(RoleName=name, Tags=as_list(planned["tags_all"]))
        duration = int(planned["max_session_duration"])
        self.iam.update_role(
            RoleName=name, Description=planned["description"] or "", MaxSessionDuration=duration
        )
        return self.read({**planned, "id": name})

    def delete(self, state: State) -> None:
        self.iam.delete_role(RoleName=state["id"])


class RolePolicy(IamResource):
    arguments: ClassVar = {
        **anything("name", "role", "policy"),
    }
    replaces = ("name", "role")
    json_arguments = ("policy",)

    def create(self, planned: State) -> State:
        key = {"RoleName": planned["role"], "PolicyName": planned["name"]}
        self.iam.put_role_policy(**key, PolicyDocument=planned["policy"])
        return {"id": f"{planned['role']}:{planned['name']}"}

    def read(self, state: State) -> State:
        role, name = state["id"].split(":", 1)
        with gone_if("NoSuchEntity"):
            found = self.iam.get_role_policy(RoleName=role, PolicyName=name)
        return {"role": role, "name": name, "policy": json_text(found["PolicyDocument"])}

    def update(self, prior: State, planned: State) -> State:
        return self.create(planned)

    def delete(self, state: State) -> None:
        self.iam.delete_role_policy(RoleName=state["role"], PolicyName=state["name"])


class OpenIdConnectProvider(IamResource):
    arguments: ClassVar = {
        **anything("url", "client_id_list"),
    }
    replaces = ("url",)

    def create(self, planned: State) -> State:
        made = self.iam.create_open_id_connect_provider(
            Url=planned["url"], ClientIDList=planned["client_id_list"], Tags=as_list(planned["tags_all"])
        )
        return self.read({**planned, "id": made["OpenIDConnectProviderArn"]})

    def read(self, state: State) -> State:
        arn = state["id"]
        with gone_if("NoSuchEntity"):
            found = self.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        return {
            "id": arn,
            "arn": arn,
            "url": f"https://{found['Url'].removeprefix('https://')}",
            "client_id_list": found["ClientIDList"],
            "thumbprint_list": found.get("ThumbprintList", []),
            **self.tags(as_dict(found.get("Tags", []))),
        }

    def update(self, prior: State, planned: State) -> State:
        arn, kept, wanted = prior["id"], set(prior["client_id_list"]), set(planned["client_id_list"])
        for client in kept - wanted:
            self.iam.remove_client_id_from_open_id_connect_provider(
                OpenIDConnectProviderArn=arn, ClientID=client
            )
        for client in wanted - kept:
            self.iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=client)
        return self.read({**planned, "id": arn})

    def delete(self, state: State) -> None:
        self.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=state["id"])


class CallerIdentity(DataSource):
    def read(self, config: State) -> State:
        found = self.aws.client("sts").get_caller_identity()
        account = found["Account"]
        return {"id": account, "account_id": account, "arn": found["Arn"], "user_id": found["UserId"]}
