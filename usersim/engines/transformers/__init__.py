"""The engine on transformers: the model in this process."""
