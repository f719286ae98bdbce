"""The gate: checkov custom checks, schemas, syntax checks, and one report. See policies/README.md."""
