"""From a finished run or study to what is handed in: one file of code, a folder, and the checks that it must pass."""
