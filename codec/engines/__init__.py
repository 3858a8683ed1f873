"""Pixels <-> latents by the float networks: engines behind one protocol."""
