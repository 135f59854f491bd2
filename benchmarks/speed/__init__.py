"""What ``speed.py`` measures: an idea a module, each with functions that return markdown tables."""
