# The gate: what every pull request must pass.
.PHONY: gate-is-ours check check-tools check-report check-comment comment

# What git has in there would run in place of the gate, so it is refused before anything of it runs.
gate-is-ours:
	@test -z "$$(git ls-files -- $(GATE) '*.py[cod]' '$(PLATFORM)/*.so' 2>/dev/null)" \
	  || { echo "git has compiled Python or files below $(GATE), which would run in place of the gate: git rm -r --cached them" >&2; exit 2; }

# make shall look for no other way to remake these.
Makefile $(PLATFORM)/policies/requirements.txt: ;

# -I and -P: no file at the root of this repository takes the place of a module of Python or of the gate.
$(GATE)/.done: $(PLATFORM)/policies/requirements.txt | gate-is-ours
	@test -x $(GATE)/bin/python || $(PYTHON) -I -m venv $(GATE)
	@$(GATE)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $(PLATFORM)/policies/requirements.txt
	@touch $@

check: $(GATE)/.done ## The gate: would anything here weaken the server? More: make check CHECK=--help
	@$(GATE)/bin/python -P $(PLATFORM)/policies/__main__.py check $(CHECK)

# What is pinned and already here is not fetched again.
check-tools: ## What the gate's checkers need: the services' images, our builds, Terraform's providers
	@env=.env; test -f .env || env=.env.example; \
	docker compose --env-file $$env pull --quiet --ignore-buildable --policy missing \
	  && docker compose --env-file $$env build --quiet postfix unbound
	@terraform=$$(command -v terraform || command -v tofu) \
	  || { echo "neither terraform nor tofu is installed here" >&2; exit 1; }; \
	for module in $(MODULES); do $$terraform -chdir=terraform/$$module init -backend=false -input=false >/dev/null || exit 1; done

check-report: $(GATE)/.done ## The gate, with reports for GitHub and for people in reports/
	@mkdir -p $(REPORTS)
	@$(GATE)/bin/python -P $(PLATFORM)/policies/__main__.py check --sarif $(REPORTS)/gate.sarif --junit $(REPORTS)/gate.xml --markdown $(REPORTS)/gate.md $(CHECK)

# Which comments are ours: those of whoever asks that begin with the report's mark. As GraphQL, and as jq.
COMMENTS := query($$owner: String!, $$repo: String!, $$number: Int!, $$endCursor: String) { \
  repository(owner: $$owner, name: $$repo) { pullRequest(number: $$number) { comments(first: 100, after: $$endCursor) { \
  pageInfo { hasNextPage endCursor } nodes { databaseId viewerDidAuthor body } } } } }
MARKED := .data.repository.pullRequest.comments.nodes[] \
  | select(.viewerDidAuthor and (.body | startswith("<!-- $(REPORT) -->"))) | .databaseId

check-comment: ## Its summary as one comment, made or renewed: make check-comment PULL_REQUEST=7 (needs gh)
	@$(MAKE) --no-print-directory comment REPORT=gate

# A report's first line is its mark: <!-- gate -->, <!-- terraform -->, <!-- edge -->.
comment: ## A report as one comment of a pull request, made or renewed: make comment REPORT=terraform PULL_REQUEST=7 (needs gh)
	@test -s $(REPORTS)/$(REPORT).md || { echo "there is no report $(REPORTS)/$(REPORT).md: make it first" >&2; exit 1; }
	@ids=$$(gh api graphql --paginate -F owner='{owner}' -F repo='{repo}' -F number="$$PULL_REQUEST" -f query='$(COMMENTS)' --jq '$(MARKED)') \
	  && case $$ids in \
	    '') gh api --silent --method POST "repos/{owner}/{repo}/issues/$$PULL_REQUEST/comments" -F body=@$(REPORTS)/$(REPORT).md;; \
	    *) gh api --silent --method PATCH "repos/{owner}/{repo}/issues/comments/$${ids%%[[:space:]]*}" -F body=@$(REPORTS)/$(REPORT).md;; \
	  esac
