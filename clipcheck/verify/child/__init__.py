"""What runs inside the watched process: beside the user's script, with as little of our own as can be.

Nothing here imports the rest of clipcheck but `clipcheck.verify`'s plain modules. A framework is imported by the script
or not at all; its watcher is installed when the script has imported it.
"""
