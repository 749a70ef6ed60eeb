"""`kvctl service`: kvd as a systemd user service. `app` declares the verbs; `units` writes what systemd reads."""
