# What the workflows call, and what is set up at GitHub.
.PHONY: notice fetch deploy-over-ssh verify-over-ssh host-report host-report-over-ssh checked hasten protect-main pull-request

fetch: ## What can be deployed: the newest commits of the repository at GitHub
	@git fetch --quiet --prune origin

# What the workflow Deploy does, from a laptop as well. platform/scripts/over-ssh.sh says how it logs in.
deploy-over-ssh: ## Deploy on the host, over SSH: make deploy-over-ssh REF=commit DEPLOY_HOST=root@host
	@$(PLATFORM)/scripts/over-ssh.sh deploy "$${REF:-HEAD}"

verify-over-ssh: ## Verify the host, over SSH
	@$(PLATFORM)/scripts/over-ssh.sh verify

host-report: $(VENV)/.mailctl ## On the host, what is due: backups and drills, ages of secrets, DNS against edge/edge.yml
	@bad=0; for part in status 'secrets status' 'edge check'; do echo "== $$part"; $(MAILCTL) $$part || bad=1; done; exit $$bad

host-report-over-ssh: ## The same, over SSH: DEPLOY_HOST=root@host
	@$(PLATFORM)/scripts/over-ssh.sh report

checked: ## Move a branch at GitHub forward to a commit whose checks passed: make checked BRANCH=checked SHA=commit (needs gh)
	@$(PLATFORM)/scripts/move-branch.sh "$$BRANCH" "$$SHA"

hasten: ## Have a host with DEPLOY_METHOD=pull look for what was merged at once (HASTEN_URL, HASTEN_TOKEN)
	@$(PLATFORM)/scripts/hasten.sh

protect-main: ## Import .github/ruleset.json at GitHub, or bring it up to date there (needs gh, as an administrator)
	@id=$$(gh api 'repos/{owner}/{repo}/rulesets' --jq '.[] | select(.name == "main") | .id') \
	  && case $$id in \
	    '') gh api --silent --method POST 'repos/{owner}/{repo}/rulesets' --input .github/ruleset.json;; \
	    *) gh api --silent --method PUT "repos/{owner}/{repo}/rulesets/$$id" --input .github/ruleset.json;; \
	  esac

pull-request: ## What changed in this checkout as a pull request: make pull-request BRANCH=monthly TITLE='New digests' (needs gh)
	@$(PLATFORM)/scripts/pull-request.sh "$$BRANCH" "$$TITLE"

notice: ## What a workflow says of a step that it leaves out; GitHub shows it above the log: make notice NOTICE=text
	@echo "$${GITHUB_ACTIONS:+::notice::}$$NOTICE"
