"""`python -m clipcheck` and the `clipcheck` command."""

from clipcheck.cli.main import run

if __name__ == "__main__":
    run()
