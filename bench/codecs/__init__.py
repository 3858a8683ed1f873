"""Codecs that users could pick, behind one protocol."""
