"""How findings are told: one function a format."""

from clipcheck.report.formats import FORMATS, Format
from clipcheck.report.given import Report
from clipcheck.report.statistics import statistics, statistics_json
from clipcheck.report.summary import diff_summary, fix_summary, summary
from clipcheck.report.unified_diff import unified_diff

__all__ = [
    "FORMATS",
    "Format",
    "Report",
    "diff_summary",
    "fix_summary",
    "statistics",
    "statistics_json",
    "summary",
    "unified_diff",
]
