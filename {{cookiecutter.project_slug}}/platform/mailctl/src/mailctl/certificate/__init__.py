"""The certificate that phones trust: of a public authority, proven by DNS, taken up without a stop."""
