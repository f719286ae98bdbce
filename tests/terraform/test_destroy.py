"""The last line of defence: someone takes prevent_destroy out of the module and destroys."""

from conftest import PATH_STYLE, MakeWorkspace
from equipment.cloud import Cloud
from equipment.template import ANSWERS

BUCKET = ANSWERS["backup_bucket"]


def test_s3_keeps_a_bucket_with_backups_even_from_a_changed_module(
    cloud: Cloud, state_bucket: str, workspace: MakeWorkspace
) -> None:
    module, s3 = workspace(), cloud.client("s3")
    module.init(PATH_STYLE)
    module.plan_and_apply()
    backup = {"Bucket": BUCKET, "Key": "mailserver/backup"}
    version = s3.put_object(**backup, Body=b"backup", ServerSideEncryption="AES256")["VersionId"]
    main = module.folder / "main.tf"
    main.write_text(main.read_text().replace("prevent_destroy = true", "prevent_destroy = false"))
    assert "BucketNotEmpty" in module.run("destroy", "-auto-approve", codes=(1,)).text
    assert s3.get_object(**backup, VersionId=version)["Body"].read() == b"backup"
