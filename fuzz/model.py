"""Fuzz the door of model.json and model.safetensors: `make fuzz`."""

import atheris

with atheris.instrument_imports(include=["latentfit", "json", "safetensors"]):
    import doors

if __name__ == "__main__":
    doors.fuzz(doors.model)
