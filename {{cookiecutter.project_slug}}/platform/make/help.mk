# `make help`: the targets in groups, in the order in which an operator needs them. What is in none is for CI, and comes last;
# targets of your own Makefile (with a text behind ##) come first.
.PHONY: help
.DEFAULT_GOAL := help

SET_UP := local local-down setup-host setup edge-plan edge-apply edge-check alarm-test backup-key
DAILY := status preflight deploy history verify probe backup sync drill check update dkim-status dkim-rotate
TROUBLE := trace queue logs rollback restore host-report
CHANGE := check-tools terraform-plan terraform-apply terraform-test terraform-lock images images-check scan audit protect-main help

help: ## This list
	@bold=; plain=; test ! -t 1 || { bold='\033[1m'; plain='\033[0m'; }; \
	awk -F ':.*## ' -v bold="$$bold" -v plain="$$plain" -v set_up='$(SET_UP)' -v daily='$(DAILY)' -v trouble='$(TROUBLE)' -v change='$(CHANGE)' ' \
	  function line(t) {printf "  %s%-20s%s %s\n", bold, t, plain, text[t]; seen[t] = 1} \
	  function group(title, list,  i, n, t) {printf "%s%s:\n", between, title; between = "\n"; n = split(list, t, " "); for (i = 1; i <= n; i++) line(t[i])} \
	  /^[a-z0-9-]+:.*## / {text[$$1] = $$2; order[++count] = $$1; if (FILENAME == "Makefile") own = own " " $$1} \
	  END {if (own) group("Your own", own); group("To set the server up", set_up); group("Every day", daily); group("When something is wrong", trouble); \
	    group("To change this repository", change); group("For CI"); \
	    for (i = 1; i <= count; i++) if (!seen[order[i]]) line(order[i])}' $(MAKEFILE_LIST)
