"""The indexes that Dovecot searches mail with."""
