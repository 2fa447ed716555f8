"""A node's data directory: pages, what they are for, views of them, copies of all."""

from __future__ import annotations

from node.storage.backup import Copied, backup, restore
from node.storage.check import NodeChecked, check_node
from node.storage.operations import Operation, Operations
from node.storage.retention import Retention, Rule
from node.storage.state import Kept, Refused
from node.storage.store import NodeStore
from node.storage.usage import QuotaError, Usage
from node.storage.view import Views, open_view, reading
from node.storage.viewdata import ViewError

__all__ = [
    "Copied",
    "Kept",
    "NodeChecked",
    "NodeStore",
    "Operation",
    "Operations",
    "QuotaError",
    "Refused",
    "Retention",
    "Rule",
    "Usage",
    "ViewError",
    "Views",
    "backup",
    "check_node",
    "open_view",
    "reading",
    "restore",
]
