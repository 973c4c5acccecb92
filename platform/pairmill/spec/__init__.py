"""What a job is: pydantic models, one module per kind; loading, overrides, JSON Schema."""
