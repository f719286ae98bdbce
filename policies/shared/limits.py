"""How much of anything is read: above these, somebody means harm, and the answer is a problem and no pass."""

#: Larger than any text that people write, and too large to be looked through line by line.
MOST_BYTES = 5 * 1024 * 1024
#: Brackets or blocks inside each other.
MOST_DEEP = 100
#: What a variable, or a text that is put together, may hold once everything in it is replaced.
LONGEST_VALUE = 64 * 1024
#: All such values of one file together.
MOST_VALUES = 16 * 1024 * 1024
#: Files that one Compose project includes, counted as often as they are read, and services over each other.
MOST_INCLUDES = 500
MOST_EXTENDS = 50
