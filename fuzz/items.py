"""Fuzz the door of new data for a network: `make fuzz`."""

import atheris

with atheris.instrument_imports(include=["latentfit"]):
    import doors

if __name__ == "__main__":
    doors.fuzz(doors.items)
