"""What a step in time is: frequencies, trading sessions, and the stamps that follow."""
