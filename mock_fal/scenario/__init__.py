"""The scenario: directives and rules that set delays, outcomes and faults."""
