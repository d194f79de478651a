"""The engine on vLLM; imports nothing itself, since vLLM loads `processor` by its name."""
