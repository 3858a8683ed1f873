"""The engine on numpy alone: a referee for the others, and what computes where there is no other."""
