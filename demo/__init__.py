"""The demonstration upstream: a process of its own that speaks the OpenAI wire protocol."""
