"""The classic tasks of recurrent networks: what each cell can remember, and for how long."""
