"""Charts: numbers in, SVG text out. Pure, escaped, without style attributes (the CSP forbids them).

Every chart has a title and a description, labels what it draws directly, starts axes of counts at zero, uses no
color but those of pull and push for data, and stays readable in black and white: push is solid, pull is hollow.
A chart never hides a number: the page that shows it carries a table with the same figures.
"""

from tidegate.dashboard.charts.flow import FlowLane, bounded, flow_map
from tidegate.dashboard.charts.timeline import Try, attempt_timeline

__all__ = ["FlowLane", "Try", "attempt_timeline", "bounded", "flow_map"]
