"""Executors that leave this process."""

from __future__ import annotations

from commonmode.adapters.compute.processes import ProcessExecutor

__all__ = ["ProcessExecutor"]
