"""What can be done, for the web pages and the command line alike.

Every function works in the caller's transaction: the change and its audit row stand or fall together.
"""
