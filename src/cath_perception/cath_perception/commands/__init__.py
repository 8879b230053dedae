"""The subcommands of ``cath``: each module has ``add_arguments(parser)`` and ``run(args) -> int``."""
