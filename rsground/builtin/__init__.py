"""What ships in the core, offered through the same hooks as any plugin."""
