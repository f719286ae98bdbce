# What lives at Cloudflare, and the keys that sign mail.
.PHONY: edge-plan edge-apply edge-check edge-forwards edge-report dkim-status dkim-rotate

edge-plan: $(VENV)/.mailctl ## What apply would change at Cloudflare (exit 2: something; options in ARGS)
	@$(MAILCTL) edge plan $(ARGS)

edge-apply: $(VENV)/.mailctl ## Bring Cloudflare in line with edge/edge.yml: shows the plan, asks, does it
	@$(MAILCTL) edge apply $(ARGS)

edge-check: $(VENV)/.mailctl ## Live DNS against edge/edge.yml and the DKIM key, and a test mail through the whole path
	@$(MAILCTL) edge check $(ARGS)

edge-forwards: $(VENV)/.mailctl ## The addresses outside that mail is forwarded to: asks Cloudflare about new ones, shows their state
	@$(MAILCTL) edge forwards $(ARGS)

# Exit code 2 of the plan says that there is something to do, which is no failure here.
edge-report: $(VENV)/.mailctl ## The plan of edge-plan for people, in reports/edge.md
	@mkdir -p $(REPORTS); code=0; $(MAILCTL) edge plan >$(REPORTS)/edge.txt || code=$$?; \
	test $$code -ne 1 || { cat $(REPORTS)/edge.txt; exit 1; }; \
	{ echo '<!-- edge -->'; test $$code -eq 0 && echo '### Edge: nothing to change' || echo '### Edge: what make edge-apply would change'; \
	  echo; echo '```text'; head -c 60000 $(REPORTS)/edge.txt; echo '```'; } >$(REPORTS)/edge.md

dkim-status: $(VENV)/.mailctl ## Which DKIM key signs, whether DNS has it, where a rotation stands
	@$(MAILCTL) dkim status $(ARGS)

dkim-rotate: $(VENV)/.mailctl ## A new DKIM key, without a gap; run it again after seven days
	@$(MAILCTL) dkim rotate $(ARGS)
