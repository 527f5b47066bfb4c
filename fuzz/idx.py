"""Fuzz the door of MNIST's format, plain and gzipped: `make fuzz`."""

import atheris

with atheris.instrument_imports(include=["latentfit", "gzip"]):
    import doors

if __name__ == "__main__":
    doors.fuzz(doors.idx)
