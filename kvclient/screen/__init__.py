"""What kvctl and kvd show a person, and the streams that they show it on."""
