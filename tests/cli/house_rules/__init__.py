"""A team's own rules, small enough to see what the command line does with their findings."""
