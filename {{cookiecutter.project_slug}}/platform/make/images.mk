# Images and packages: build, pin, look for known vulnerabilities.
.PHONY: images images-check scan audit

images: ## Every image that is built here (from today's packages: ARGS='--pull --no-cache')
	@env=.env; test -f .env || env=.env.example; docker compose --env-file $$env build $(ARGS)

images-check: $(VENV)/.mailctl ## What the pinned images' tags mean upstream today (pin them to that: ARGS=--write)
	@$(MAILCTL) images check $(ARGS)

scan: ## Known vulnerabilities in every image that runs here (needs trivy or grype)
	@$(PLATFORM)/scripts/scan-images.sh

$(AUDITOR)/.done: $(PLATFORM)/requirements/audit.txt
	@test -x $(AUDITOR)/bin/pip || $(PYTHON) -m venv --clear $(AUDITOR)
	@$(AUDITOR)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $(PLATFORM)/requirements/audit.txt
	@touch $@

audit: $(AUDITOR)/.done ## Known vulnerabilities in the pinned Python packages
	@$(AUDITOR)/bin/pip-audit --progress-spinner off --require-hashes --disable-pip $(foreach file,$(LOCKED),--requirement $(file))
