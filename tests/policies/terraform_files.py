"""What tests of reading Terraform share."""

BUCKET = 'resource "aws_s3_bucket" "a" {\n  bucket = "one"\n}\n'


def block(module, address: str):
    """Return a block by its address."""
    return next(each for each in module.blocks if each.address == address)
