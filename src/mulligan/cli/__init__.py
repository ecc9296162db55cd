"""Thin commands over the library; nothing heavy is imported before a command needs it."""
