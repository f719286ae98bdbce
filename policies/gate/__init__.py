"""The program: loads the rules, runs everything, writes one report."""
