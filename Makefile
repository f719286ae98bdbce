# The entry point of this template. `make` alone lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Two more environments: Terraform's core as a library, and checkov, which pins old versions of common libraries.
TERRAFORM := .venv-terraform
CHECKOV := .venv-checkov
UPDATER := .venv-update
POLICIES := .venv-policies
# Every test that fails keeps what it saw in here: screenshots, logs of containers.
ARTIFACTS ?= artifacts

.DEFAULT_GOAL := help
.PHONY: check help new demo demo-down test test-fast programs-test docker-test policies-test policies-docs terraform-test screenshots soak lint lock hooks system benchmarks update upgrades release types

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.new: requirements/new.txt
	@echo "Preparing Python in $(VENV) (once, under a minute) …" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/new.txt
	@touch $@

# $(call install,environment,requirements): by uv, or by pip where only pip knows the way to a mirror.
install = test -x $(1)/bin/pip || $(PYTHON) -m venv --clear $(1); \
  $(VENV)/bin/uv pip install --quiet --python $(1)/bin/python --require-hashes --requirement $(2) 2>/dev/null \
  || $(1)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $(2)

$(VENV)/.dev: requirements/dev.txt $(VENV)/.new
	@$(call install,$(VENV),requirements/dev.txt)
	@touch $@

# The gate's environment for the repositories that are made here; `make new` runs their `make check` in it.
.venv-gate/.done: policies/requirements.txt | $(VENV)/.new
	@$(call install,.venv-gate,policies/requirements.txt)
	@touch $@

$(TERRAFORM)/.done: requirements/terraform.txt | $(VENV)/.new
	@$(call install,$(TERRAFORM),requirements/terraform.txt)
	@touch $@

$(POLICIES)/.done: requirements/policies.txt | $(VENV)/.new
	@$(call install,$(POLICIES),requirements/policies.txt)
	@touch $@

$(CHECKOV)/.done: requirements/checkov.txt | $(VENV)/.new
	@$(call install,$(CHECKOV),requirements/checkov.txt)
	@touch $@

new: $(VENV)/.new ## A new mail server repository: asks, or ANSWERS=file.yml; into OUT=folder (default: here)
	@$(RUN) -m tools.new $(if $(ANSWERS),--answers "$(ANSWERS)") --out "$(or $(OUT),.)"

demo: $(VENV)/.new ## A repository from the defaults in build/demo, and its whole stack running on this machine
	@$(RUN) -m tools.demo up

demo-down: $(VENV)/.new ## End the demo and remove what it made
	@$(RUN) -m tools.demo down

system: ## What the tests need from the system: linters, a browser, a Docker engine (Debian and Ubuntu, as root)
	@$(PYTHON) -m tools.system

# The kernel shares processors between sessions, whatever their processes' nice values: a session of its own, with a small share.
SHARE := 2>/dev/null >/proc/self/autogroup || true
# The quick ones first: a mistake shows before the stack is built. The images of the last part are built meanwhile. What only
# computes (the gate, Terraform) or waits for nobody (mailctl) uses what the containers leave over, and says at the end what it found.
test: $(VENV)/.dev system ## Everything, on real containers
	@mkdir -p $(ARTIFACTS); $(RUN) -m tools.standins build >$(ARTIFACTS)/standins.log 2>&1 & \
	trap 'kill $$(jobs -p) 2>/dev/null || true' EXIT; \
	$(MAKE) --no-print-directory test-fast LONG=yes PROGRAMS='usermgmt api worker' || exit 1; \
	setsid sh -c 'echo 8 $(SHARE); $(MAKE) --no-print-directory programs-test PROGRAMS=mailctl LONG=yes; mailctl=$$?; \
	  echo 19 $(SHARE); $(MAKE) --no-print-directory policies-test terraform-test && exit $$mailctl' >$(ARTIFACTS)/beside.log 2>&1 & beside=$$!; \
	$(MAKE) --no-print-directory docker-test; containers=$$?; \
	wait $$beside; others=$$?; cat $(ARTIFACTS)/beside.log; exit $$((containers | others))

# Two processes: while one waits for a container, the other works. What they say of a run goes into a file.
docker-test: $(VENV)/.dev system ## Everything that needs a Docker engine: the stack, the stand-ins, the workflows
	@rm -f $(ARTIFACTS)/said.log; $(RUN) -m pytest tests -m docker -n 2 --dist loadscope $(PYTEST); status=$$?; \
	test ! -f $(ARTIFACTS)/said.log || cat $(ARTIFACTS)/said.log; exit $$status

test-fast: $(VENV)/.dev ## What needs no Docker, side by side (without Terraform, the gate, servers and long series; those too: LONG=yes)
	@$(RUN) -m pytest tests -m "not docker" -n auto --dist worksteal
	@$(MAKE) --no-print-directory programs-test LONG=$(or $(LONG),no)

# Those of the schema and the grants start a MariaDB of their own, some of mailserver-api a MariaDB or a Postfix, where it is installed (make system).
# LONG=no leaves them out, and the series of mailctl that `make soak` makes longer still: work that is killed, mail that moves.
# Each folder's .coveragerc says how much of its program the tests must run; a part of them: make programs-test PYTEST='-k … --cov-fail-under=0'
programs-test: $(VENV)/.dev ## The tests of the programs in platform/: mailctl, usermgmt, mailserver-api and the Email Worker (one: PROGRAMS=mailctl)
	@without() { echo "$$1 is not installed here, or not usable: the tests that need it are left out"; }; \
	api='not postfix and not mariadb'; usermgmt='not mariadb'; mailctl='not series and not sshd and not nft'; if test '$(LONG)' != no; then mailctl=; \
	  test -x /usr/sbin/sshd || { without sshd; mailctl='not sshd'; }; \
	  test -x /usr/sbin/nft -a "$$(id -u)" = 0 || { without nft; mailctl="$${mailctl:+$$mailctl and }not nft"; }; \
	  test ! -x /usr/sbin/postfix -o "$$(id -u)" != 0 && { without Postfix; api='not postfix'; } || api=; \
	  PATH=$$PATH:/usr/sbin command -v mariadbd >/dev/null && usermgmt= \
	    || { without mariadbd; api="$${api:+$$api and }not mariadb"; }; fi; \
	for part in $(or $(PROGRAMS),mailctl usermgmt api worker); do echo "== $$part"; \
	  if test $$part = worker; then ! command -v node >/dev/null && without node || node --test tests/worker/*.test.js || exit 1; continue; fi; \
	  $(RUN) -m pytest -c tests/$$part/pytest.ini tests/$$part -m "$${!part}" -n auto --dist worksteal \
	    --cov --cov-config=tests/$$part/.coveragerc --cov-report= $(PYTEST) || exit 1; done

policies-test: $(POLICIES)/.done ## The gate: rules, fixtures, mutations, reports
	@$(POLICIES)/bin/python -m pytest -c tests/policies/pytest.ini tests/policies

check: $(POLICIES)/.done ## The gate over a repository of the defaults, in build/check
	@rm -rf build/check && $(POLICIES)/bin/cookiecutter --no-input --output-dir build/check . >/dev/null
	@$(POLICIES)/bin/python -P policies/__main__.py check build/check/mailserver $(CHECK)

policies-docs: $(POLICIES)/.done ## Regenerates policies/RULES.md, after a change of a rule
	@$(POLICIES)/bin/python -m policies docs

terraform-test: $(TERRAFORM)/.done $(CHECKOV)/.done $(POLICIES)/.done ## The Terraform modules on Terraform's real core, with an AWS in memory
	@CHECKOV=$(CURDIR)/$(CHECKOV)/bin/checkov $(TERRAFORM)/bin/python -m pytest -c tests/terraform/pytest.ini tests/terraform

# Of the gate: every rule, checker and check of checkov asked about every mutation, and all combinations of choices.
soak: $(VENV)/.dev $(POLICIES)/.done system ## The long series at full size: every mutation of the gate, 5,000 mails under faults (MAILS=, SEED=)
	@WHOLE=1 $(POLICIES)/bin/python -m pytest -c tests/policies/pytest.ini tests/policies
	@MAILS=$(or $(MAILS),5000) $(RUN) -m pytest tests/stack/test_worker_faults.py -m docker
	@SPOOL_MAILS=2000 SPOOL_KILLS=20 $(RUN) -m pytest tests/apps/test_edge_spool.py -k killed
	@FORWARD_MAILS=500 FORWARD_KILLS=20 $(RUN) -m pytest tests/apps/test_edge_forwards.py -k killed
	@FORWARD_MAILS=500 $(RUN) -m pytest tests/stack/test_worker_forwards.py -m docker
	@KILL_MOMENTS=100 BACKUP_EXAMPLES=200 DEPLOY_KILLS=100 AGENT_EXAMPLES=40 SYNC_KILLS=100 $(MAKE) --no-print-directory programs-test PROGRAMS=mailctl
	@SHARD_MOVES=100 $(RUN) -m pytest tests/swarm/shards -m docker
	@REPLICA_MAILS=500 STORE_EXAMPLES=2000 $(MAKE) --no-print-directory programs-test PROGRAMS=api PYTEST='-k "replica or stores" --cov-fail-under=0'
	@ACCOUNT_EXAMPLES=60 API_EXAMPLES=60 GRAPH_EXAMPLES=300 $(MAKE) --no-print-directory programs-test PROGRAMS=usermgmt \
	  PYTEST='-k "alias_graph or mariadb_api or postfix_sql" --cov-fail-under=0'
	@OUTAGES=all $(RUN) -m pytest tests/stack/test_monitor.py -m docker
	@SWARM_DATABASE=10 $(RUN) -m pytest tests/swarm/test_clients.py tests/swarm/test_database.py tests/swarm/test_memory.py -m docker
	@CANARIES=all $(RUN) -m pytest tests/stack/test_canaries.py -m docker
	@HOST_DAMAGE=all HOST_MOVE=all $(RUN) -m pytest tests/stack/test_host.py -m docker -k "damage or move"
	@ODD_MAILS=100000 ODD_LARGE=50 $(RUN) -m pytest tests/stack/test_whole_mailbox.py -m docker -s
	@STACK_IMPORT_MAILS=20000 STACK_KILL_MOMENTS=5 $(RUN) -m pytest tests/stack/test_import.py -m docker
	@STACK_KILL_MOMENTS=20 $(RUN) -m pytest tests/stack/test_restore.py -m docker -k "default and killed"
	@SWARM=all $(RUN) -m pytest tests/swarm/test_stack.py tests/swarm/test_alarms.py tests/swarm/test_mail.py tests/swarm/test_agent.py tests/swarm/shards/test_backup.py -m docker
	@BAD_COMMITS=all PROBES=all $(RUN) -m pytest tests/deploy -m docker
	@$(MAKE) --no-print-directory upgrades

# Its own `make update` does the same, but for repositories older than 0.9.0: their updater cannot follow files that have moved.
$(UPDATER)/.done: {{cookiecutter.project_slug}}/platform/requirements/update.txt | $(VENV)/.new
	@$(call install,$(UPDATER),"$<")
	@touch $@

update: $(UPDATER)/.done ## Merge the template into a repository that was made before 0.9.0: make update REPO=folder (VERSION=)
	@cd "$(REPO)" && "$(CURDIR)/$(UPDATER)/bin/python" "$(CURDIR)/{{cookiecutter.project_slug}}/platform/scripts/update.py" \
	  $(if $(TEMPLATE),--template '$(TEMPLATE)') $(if $(VERSION),--version '$(VERSION)')

upgrades: $(VENV)/.dev .venv-gate/.done ## A repository of each version, filled with mail, updated to this commit (VERSIONS=, MAILS=20)
	@$(RUN) -m tools.upgrades

release: $(VENV)/.new ## The newest version of CHANGELOG.md as a tag and a release at GitHub, unless it is one already (needs gh)
	@tag=$$($(RUN) -m tools.release due) || exit 1; \
	test -n "$$tag" || { echo "the newest version of CHANGELOG.md is released"; exit 0; }; \
	notes=$$($(RUN) -m tools.release notes "$$tag") \
	  && gh release create "$$tag" --target "$$(git rev-parse HEAD)" --title "$$tag" --notes "$$notes"

screenshots: $(VENV)/.dev system ## The pictures of the guide, taken of a running stack (in _docs/*/docs/images)
	@SCREENSHOTS=1 $(RUN) -m pytest tests/stack/test_screenshots.py

# What mypy knows of the libraries is kept beside them, one file for each module: the generated `make types` shares it in the tests.
types: export MYPY_CACHE_DIR ?= $(CURDIR)/$(VENV)/.mypy
types: $(VENV)/.dev ## Types of the Python packages of the generated repository, strictly
	@for part in mailctl mailserver-api usermgmt; do \
	  echo "== $$part"; (cd "{{cookiecutter.project_slug}}/platform/$$part" && "$(CURDIR)/$(VENV)/bin/mypy") || exit 1; done

# No cache: ruff would leave it in the template, and it would be rendered with it.
lint: $(VENV)/.dev types ## Formatting, types, imports and common mistakes
	@$(VENV)/bin/ruff check --no-cache . && $(VENV)/bin/ruff format --no-cache --check .
	@$(RUN) -m tools.imports
	@$(VENV)/bin/yamllint --strict .

lock: $(VENV)/.dev ## Newest versions of everything that is pinned with hashes
	@$(RUN) -m tools.lock

hooks: $(VENV)/.new ## Puts the answers' schema and the relays into the hook again, and the relays into their document, after an edit
	@$(RUN) -m tools.embed_schema && $(RUN) -m tools.relay_docs

benchmarks: $(VENV)/.dev ## The measured figures in benchmarks/, measured again
	@$(RUN) -m benchmarks.run
