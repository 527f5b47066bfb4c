"""Fuzz the door of CSV files: `make fuzz`."""

import atheris

with atheris.instrument_imports(include=["latentfit"]):
    import doors

if __name__ == "__main__":
    doors.fuzz(doors.tables)
