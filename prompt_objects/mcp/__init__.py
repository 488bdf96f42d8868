"""Tools of MCP servers: programs that run beside the environment, or services at a URL."""
