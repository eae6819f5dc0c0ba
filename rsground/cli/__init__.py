"""The command line (table of subcommands follows)."""
