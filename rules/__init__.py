"""clipcheck's own rules: a folder a family, a file a rule. Installed as `clipcheck_rules`."""
