"""How much of anything is read: above these, somebody means harm, and the answer is a problem and no pass."""

#: Larger than any text that people write, and too large to be looked through line by line.
MOST_BYTES = 5 * 1024 * 1024
