# Backups: snapshots, copies in S3, restore and the drill.
.PHONY: backup-key backup sync drill restore

backup-key: $(VENV)/.mailctl ## The key that backups are encrypted to: shows it once, to be kept elsewhere, not on this host
	@$(MAILCTL) backup-key $(ARGS)

backup: $(VENV)/.mailctl ## A snapshot of mail, database, configuration and keys, now
	@$(MAILCTL) backup $(ARGS)

sync: $(VENV)/.mailctl ## Upload what is new of the snapshots to S3 (compare both sides: ARGS=--verify)
	@$(MAILCTL) sync $(ARGS)

drill: $(VENV)/.mailctl ## Restore the last snapshots into a scratch stack beside this one, and compare every mail
	@$(MAILCTL) drill $(ARGS)

restore: $(VENV)/.mailctl ## Bring mail back: make restore ARGS='--from DIR --component mail --mailbox a@b' (docs/backups.md)
	@$(MAILCTL) restore $(ARGS)
