"""The secret files of the stack: what they are, how they come to be, and in which state they are."""

#: What others may import of this folder, besides what stands here (tests/test_borders.py).
PUBLIC = ("certificates", "initialise", "inspect", "rules", "show", "store", "table")
