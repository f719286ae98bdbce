"""No secret passes through Terraform: neither its state nor its outputs hold one."""

from equipment.workspace import Workspace


def test_nothing_in_the_state_is_marked_as_secret(applied: Workspace) -> None:
    resources = applied.run("show", "-json").json()["values"]["root_module"]["resources"]
    assert "aws_iam_access_key" not in {each["type"] for each in resources}
    marked = {each["address"] for each in resources if secret(each["sensitive_values"])}
    assert marked == set()


def test_no_output_is_a_secret(applied: Workspace) -> None:
    outputs = applied.run("output", "-json").json()
    assert [name for name, output in outputs.items() if output["sensitive"]] == []


def secret(marks: object) -> bool:
    """Whether Terraform marked any part of a value."""
    if isinstance(marks, dict):
        return any(secret(each) for each in marks.values())
    return any(secret(each) for each in marks) if isinstance(marks, list) else marks is True
