"""Puts what a snapshot holds back in place: checked, beside what is there, swapped, and undone on request."""
