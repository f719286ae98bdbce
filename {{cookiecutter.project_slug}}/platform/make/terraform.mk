# Terraform's modules for the off-site backups.
.PHONY: terraform-test terraform-lock terraform-plan terraform-fetch-plan terraform-apply

terraform-test: ## Formatting and tests of the Terraform modules, without any account (terraform or tofu)
	@terraform=$$(command -v terraform || command -v tofu) \
	  || { echo "neither terraform nor tofu is installed here: the modules were not tested" >&2; exit 1; }; \
	$$terraform fmt -check -recursive terraform && for module in $(MODULES); do \
	  $$terraform -chdir=terraform/$$module init -backend=false -input=false >/dev/null \
	  && $$terraform -chdir=terraform/$$module validate && $$terraform -chdir=terraform/$$module test || exit 1; done

# For every platform on which somebody may run it: a lock file that names one alone stops the others.
PLATFORMS ?= linux_amd64 linux_arm64 darwin_amd64 darwin_arm64 windows_amd64
terraform-lock: ## Newest providers that the modules allow, with checksums for every platform: commit .terraform.lock.hcl
	@terraform=$$(command -v terraform || command -v tofu) \
	  || { echo "neither terraform nor tofu is installed here" >&2; exit 1; }; \
	for module in $(MODULES); do \
	  $$terraform -chdir=terraform/$$module init -backend=false -input=false -upgrade >/dev/null \
	  && $$terraform -chdir=terraform/$$module providers lock $(LOCK_FROM) $(addprefix -platform=,$(PLATFORMS)) || exit 1; done

terraform-plan: ## What terraform apply would change: reports/plan/tfplan, and reports/terraform.md for people
	@REPORTS=$(REPORTS) $(PYTHON) $(PLATFORM)/scripts/terraform.py plan

terraform-fetch-plan: ## The plan that was reviewed in the pull request of SHA, or made by the workflow's RUN (needs gh)
	@REPORTS=$(REPORTS) $(PYTHON) $(PLATFORM)/scripts/terraform.py fetch

terraform-apply: ## Apply reports/plan/tfplan and nothing else
	@REPORTS=$(REPORTS) $(PYTHON) $(PLATFORM)/scripts/terraform.py apply
