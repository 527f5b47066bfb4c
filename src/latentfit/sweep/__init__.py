"""Run a study and keep it: what is asked, which processes train, and the folder that everything is written to."""
