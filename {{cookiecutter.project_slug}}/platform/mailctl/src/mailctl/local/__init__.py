"""The whole stack on one machine, without any account: its own project name, folders, secrets and ports."""

#: What others may import of this folder, besides what stands here (tests/test_borders.py).
PUBLIC = ("stack",)
