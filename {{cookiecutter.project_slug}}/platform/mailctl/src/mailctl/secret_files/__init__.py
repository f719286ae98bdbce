"""The secret files of the stack: what they are, how they come to be, and in which state they are."""
