"""The patch series of 2021, step by step: a built kernel in; what each of its seven patches makes of it out."""
