# The server: set it up, deploy, look after it. Each target is a command of mailctl.
.PHONY: setup setup-host local local-down local-check preflight deploy rollback history status verify logs trace queue probe alarm-test

$(VENV)/.mailctl: $(PLATFORM)/mailctl/requirements.txt $(PLATFORM)/mailctl/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --require-hashes --requirement $(PLATFORM)/mailctl/requirements.txt
	@$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation --editable ./$(PLATFORM)/mailctl
	@touch $@

setup: $(VENV)/.mailctl ## Once, and after each change of .env: folders, secrets, certificates
	@$(MAILCTL) setup

setup-host: $(VENV)/.mailctl ## A fresh Debian or Ubuntu to ready: Docker, firewall, updates, timers (only look: ARGS=--check)
	@$(MAILCTL) host setup $(ARGS)

local: $(VENV)/.mailctl ## Try the whole stack on this machine, with a mail sink in place of the relay
	@$(MAILCTL) local up

local-down: $(VENV)/.mailctl ## End the local trial (its data stays; ARGS=--volumes removes it)
	@$(MAILCTL) local down $(ARGS)

local-check: $(VENV)/.mailctl ## A mail through the local trial and a virus that it must refuse (after make local)
	@$(MAILCTL) local check $(ARGS)

preflight: $(VENV)/.mailctl ## The check list before a deployment, with what to do about each line
	@$(MAILCTL) preflight $(ARGS)

deploy: $(VENV)/.mailctl ## Deploy a commit, or roll back if anything fails: make deploy REF=… (look first: ARGS=--dry-run)
	@$(MAILCTL) deploy $(if $(REF),--ref '$(REF)') $(ARGS)

rollback: $(VENV)/.mailctl ## Go back to the deployment before, or to the one of a commit: make rollback TO=…
	@$(MAILCTL) rollback $(if $(TO),--to '$(TO)') $(ARGS)

history: $(VENV)/.mailctl ## What was deployed here, with what result, and what one can go back to
	@$(MAILCTL) history $(ARGS)

status: $(VENV)/.mailctl ## Health, versions, queue, disks, backups, certificates, secrets, drift: the overall health (repeatedly: ARGS=--watch)
	@$(MAILCTL) status $(ARGS)

$(VERIFIER)/.done: tests/host/requirements.txt
	@test -x $(VERIFIER)/bin/pip || $(PYTHON) -m venv --clear $(VERIFIER)
	@$(VERIFIER)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/host/requirements.txt
	@touch $@

verify: $(VENV)/.mailctl $(VERIFIER)/.done ## Is the host as it should be? (from elsewhere: ARGS='--host ssh://root@HOST --path FOLDER')
	@$(MAILCTL) verify $(ARGS)

logs: $(VENV)/.mailctl ## What the services said: make logs, make logs SERVICE=postfix, make logs FOLLOW=1, make logs ARGS='--since 2h'
	@$(MAILCTL) logs $(if $(FOLLOW),--follow) $(ARGS) $(SERVICE)

probe: $(VENV)/.mailctl ## A mail out through the relay and back in through Cloudflare, judged as a receiver does (ARGS=--retry)
	@$(MAILCTL) probe $(ARGS)

trace: $(VENV)/.mailctl ## Trace one mail: make trace ID=… (a queue id, a Message-ID, or an address: its last mails)
	@$(MAILCTL) trace $(ARGS) -- '$(ID)'

queue: $(VENV)/.mailctl ## The mail that waits, and why (more: .venv/bin/mailctl queue --help)
	@$(MAILCTL) queue $(ARGS)

alarm-test: $(VENV)/.mailctl ## A test alarm by every way, and what came of each (more: .venv/bin/mailctl alarm --help)
	@$(MAILCTL) alarm test $(ARGS)
