"""The command line, a file a command: `minigrad train digits`, `minigrad layers`, `minigrad draw`, `minigrad doctor`.

A command is a module here with a function `add(commands)`, which describes it (help, examples, arguments) and sets as
its default `command` the function that runs it and returns an exit code; `program.COMMANDS` lists the modules. What a
command alone needs is imported when it runs. It must never end the process, nor print a user's mistake itself: it
raises an error of minigrad's, and `program` says it.
"""

from minigrad.cli.program import main

__all__ = ["main"]
