"""The engine on numpy alone: the referee of all others, and what computes where there is no other."""
