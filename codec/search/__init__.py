"""What an encoder tries so that a file gets better or meets a target. No decoder imports it."""
