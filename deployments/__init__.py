"""The environments: set-up, bootstrap, demo hospital, UI."""
