"""Time and memory: of one file, of many, and stage by stage."""
