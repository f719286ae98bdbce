"""The certificate that phones trust: of a public authority, proven by DNS, renewed and taken up without a stop."""
