"""Models: encoders, pooling, tokenizers, adapters, export."""
