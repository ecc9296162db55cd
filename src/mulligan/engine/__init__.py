"""Where stages run: in this process. It knows how to make each stage's value and keeps what it made in the store."""
