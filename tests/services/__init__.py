"""Real services for the tests: each module starts one program on free ports of this machine and stops it again."""
