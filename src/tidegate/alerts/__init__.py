"""System events: the engine that watches the gateway itself, and what people decide about its alerts."""

from __future__ import annotations

from tidegate.alerts.engine import AlertEngine

__all__ = ["AlertEngine"]
