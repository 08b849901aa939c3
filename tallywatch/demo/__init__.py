"""The demo: a believable month of logs, made up the same way each time, and the walk through the program with it."""
