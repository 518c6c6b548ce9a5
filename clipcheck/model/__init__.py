"""Plain facts about a training script. Knows no framework and nothing else of clipcheck."""
