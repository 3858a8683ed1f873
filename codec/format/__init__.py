"""The .cae format: bytes <-> what they say. Standard library only."""
