# Newer versions of the template.
.PHONY: update upgrade-test

$(UPDATER)/.done: $(PLATFORM)/requirements/update.txt
	@test -x $(UPDATER)/bin/pip || $(PYTHON) -m venv --clear $(UPDATER)
	@$(UPDATER)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $(PLATFORM)/requirements/update.txt
	@touch $@

update: $(UPDATER)/.done ## Merge a newer template into this repository (TEMPLATE=, VERSION=), or change an answer: ANSWER=antivirus=false
	@$(UPDATER)/bin/python $(PLATFORM)/scripts/update.py $(if $(TEMPLATE),--template '$(TEMPLATE)') $(if $(VERSION),--version '$(VERSION)') $(foreach answer,$(ANSWER),--answer '$(answer)')

upgrade-test: $(VENV)/.mailctl ## The local trial of BASE, filled with mail, upgraded to this commit: make upgrade-test BASE=origin/main
	@$(PLATFORM)/scripts/upgrade-test.sh "$$BASE"
