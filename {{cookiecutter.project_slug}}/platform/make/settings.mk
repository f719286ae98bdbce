# What all targets share. Each of these can be given on the command line: make PYTHON=python3.13 setup
SHELL := /bin/bash
PLATFORM := platform
PYTHON ?= python3
VENV := .venv
MAILCTL := $(VENV)/bin/mailctl
# The gate's own environment: checkov pins old versions of common libraries.
GATE ?= .venv-gate
# The environment of `make update`.
UPDATER ?= .venv-update
# The environment of `make audit`, and what it looks into.
AUDITOR ?= .venv-audit
LOCKED := $(foreach part,mailctl mailserver-api usermgmt policies,$(PLATFORM)/$(part)/requirements.txt) $(wildcard $(PLATFORM)/radicale/requirements.txt)
# The environment of `make verify`.
VERIFIER := .venv-verify
# Where the gate's reports go: SARIF, JUnit, and Markdown for people.
REPORTS ?= reports
# The folders below terraform/ that are applied, the one that the other needs first.
MODULES := state-bootstrap s3-backup
