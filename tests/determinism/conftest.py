"""WebAssembly is one of the machines."""

from web_site import node, run_node, server, site

__all__ = ["node", "run_node", "server", "site"]
