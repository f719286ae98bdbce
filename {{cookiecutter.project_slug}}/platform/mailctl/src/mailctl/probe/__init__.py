"""A mail to ourselves through the real outside: out by the relay, back in by the edge, and judged."""
