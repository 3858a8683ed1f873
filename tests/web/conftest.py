"""What tests of web/ share with those of other machines."""

from web_site import node, node_web, run_node, server, site

__all__ = ["node", "node_web", "run_node", "server", "site"]
