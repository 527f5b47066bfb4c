"""Fuzz the door of folders of pictures: `make fuzz`."""

import atheris

with atheris.instrument_imports(include=["latentfit", "PIL"]):
    import doors

if __name__ == "__main__":
    doors.fuzz(doors.pictures)
