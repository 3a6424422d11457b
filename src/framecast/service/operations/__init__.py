"""What an operator looks at: logs and numbers."""
