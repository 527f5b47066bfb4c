"""Fuzz the door of .npy and .npz: `make fuzz`."""

import atheris

with atheris.instrument_imports(include=["latentfit", "zipfile", "numpy.lib"]):
    import doors

if __name__ == "__main__":
    doors.fuzz(doors.arrays)
