"""Which packages there are; everything else is in pyproject.toml.

`rules/` is a package of its own that is installed as `clipcheck_rules`, since a package called `rules` in somebody's
site-packages would be a trespass. pyproject.toml can rename a package, but cannot look for packages below it.
"""

from setuptools import find_packages, setup

RULES = "clipcheck_rules"

setup(
    packages=[
        *find_packages(include=["clipcheck", "clipcheck.*"]),
        RULES,
        *(f"{RULES}.{family}" for family in find_packages("rules")),
    ],
    package_dir={RULES: "rules"},
)
