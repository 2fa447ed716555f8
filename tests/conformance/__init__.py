"""Standards' own test suites."""
