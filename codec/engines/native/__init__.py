"""The engine in C: a shared library beside this file, where one was built."""
