"""The model card of an exported network, in the format of the Hugging Face hub: YAML, then Markdown.

Every number is the study's own. Names that come from data are escaped.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import version

from .data.reading import number, shape_text
from .formatting import mse, of_rows, plural
from .measure import gates
from .model import Network
from .recipe import Job
from .results import ModelResult, Results
from .sweep.store import Study

LICENCES = {"fashion-mnist": "mit", "garments": "mit"}  # of the data; that of others is not known here


def write(study: Study, job: Job) -> str:
    """The card of one network of a study."""
    found, model, network = study.found, study.found.trained[job], study.network(*job)
    assert isinstance(network, Network)  # others have no export
    body = "\n\n".join(_sections(study, found, model, network))
    body = of_rows(body, tuple(map(plain, found.dataset.names))) if found.dataset.is_rows else body
    return f"---\n{_front(found, model)}---\n\n{body}\n"


def _front(found: Results, model: ModelResult) -> str:
    """What the hub reads; JSON of one line is YAML."""
    rows = found.dataset.is_rows
    metrics = [{"type": "mse", "name": "test MSE", "value": model.test_mse}]
    if model.test_explained_variance is not None:
        metrics.append(
            {"type": "explained_variance", "name": "explained variance", "value": model.test_explained_variance}
        )
    task = {"type": "feature-extraction" if rows else "image-feature-extraction"}
    data = {"name": found.dataset.name, "type": found.dataset.name, "split": "test"}
    name = f"autoencoder-{model.latent_dim}"
    facts: dict[str, object] = {
        "license": LICENCES.get(found.dataset.name, "unknown"),
        "library_name": "latentfit",
        "pipeline_tag": task["type"],
        "tags": ["autoencoder", "dimensionality-reduction", "onnx", "safetensors", "latentfit"],
        "model-index": [{"name": name, "results": [{"task": task, "dataset": data, "metrics": metrics}]}],
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in facts.items())


def _sections(study: Study, found: Results, model: ModelResult, network: Network) -> list[str]:
    dataset = found.dataset
    title = f"# Autoencoder of {plain(dataset.name)} with {plural(model.latent_dim, 'latent dimension')}"
    shape = (
        "rows of " + str(dataset.image_shape[0]) if dataset.is_rows else f"images of {shape_text(dataset.image_shape)}"
    )
    intro = (
        f"A fully connected autoencoder: {shape} numbers to codes of {model.latent_dim} numbers, and back. "
        f"Trained and measured by latentfit {version('latentfit')}."
    )
    stand_in = ["**Stand-in data**: drawn in place of Fashion-MNIST; the numbers say nothing of other images."]
    return [
        title,
        intro,
        *(stand_in if dataset.stand_in else []),
        f"## Data\n\n{_data(found)}",
        f"## Recipe\n\n{_recipe(found, model, network)}",
        f"## Errors\n\n{_table(found, model)}",
        f"## Training checks\n\n{_checks(found, model)}",
        f"## Use\n\n{_use(study, model, network)}",
        f"## Limits\n\n{_limits(found)}",
        f"## Licence\n\n{_licence(found)}",
    ]


def _data(found: Results) -> str:
    dataset = found.dataset
    lines = [
        f"- {plain(dataset.name)}: {dataset.train_images:,} training and {dataset.test_images:,} test images",
        f"- fingerprint `{dataset.fingerprint}`",
    ]
    if dataset.prepared:
        lines.append(f"- prepared: {plain('; '.join(dataset.prepared))}")
    if dataset.columns:
        lines.append(f"- columns, in this order: {', '.join(map(plain, dataset.columns))}")
    if dataset.classes:
        lines.append(f"- classes, which were not trained on: {', '.join(map(plain, dataset.classes))}")
    return "\n".join(lines)


def _recipe(found: Results, model: ModelResult, network: Network) -> str:
    recipe = found.recipe
    widths = "-".join(map(str, (*network.sizes, *network.sizes[-2::-1])))
    path = ", with a linear path beside the layers" if network.linear_path else ""
    return (
        f"`{plain(recipe.name)}`: layers {widths}{path}; {recipe.activation} between layers, output {recipe.output}; "
        f"mean squared error, {recipe.optimizer} with learning rate {recipe.learning_rate:g}, batch "
        f"{recipe.batch_size}, {'at most ' if recipe.holds_out else ''}{plural(recipe.epochs, 'epoch')}, "
        f"seed {model.seed}; computed as {found.environment.products or found.environment.precision}."
    )


def _table(found: Results, model: ModelResult) -> str:
    """The network and as many components of PCA."""
    explained = None if model.test_explained_variance is None else f"{100 * model.test_explained_variance:.1f} %"
    cells = {
        "train MSE": mse(model.train_mse),
        "test MSE": mse(model.test_mse),
        "explained variance": explained or "-",
        "PSNR dB": "-" if model.test_psnr is None else f"{model.test_psnr:.2f}",
        "SSIM": "-" if model.test_ssim is None else f"{model.test_ssim:.3f}",
    }
    unit = "the data's own units" if found.dataset.is_rows else "pixels in [0, 1]"
    lines = [
        f"| | {' | '.join(cells)} |",
        f"|---|{'---:|' * len(cells)}",
        f"| network | {' | '.join(cells.values())} |",
    ]
    if (error := found.pca_errors.get(model.latent_dim)) is not None:
        lines.append(f"| PCA, as many components | | {mse(error)} | | | |")
    return "\n".join(lines) + f"\n\nMean squared errors over all numbers of all images of a split, {unit}."


def _checks(found: Results, model: ModelResult) -> str:
    if not model.gates:
        return "None failed."
    checks = [(gates.check_of(gate.name, found.recipe), gate.value) for gate in model.gates]
    return "\n".join(f"- {check.short}: {check.words} (found {value:.3g})" for check, value in checks)


def _use(study: Study, model: ModelResult, network: Network) -> str:
    made = study.preparation(*model.job)
    what = (
        "rows in the data's own units, its columns in the order above"
        if made.columns
        else (f"flat images: pixels divided by {number(made.top)}")
    )
    k, d = model.latent_dim, network.pixels
    return f"""`x` is float32 (N, {d}), {what}; `z` is float32 (N, {k}); N is free.

```python
import numpy as np
import onnxruntime

x = np.zeros((1, {d}), np.float32)
(z,) = onnxruntime.InferenceSession("encoder.onnx").run(["z"], {{"x": x}})
(x_hat,) = onnxruntime.InferenceSession("decoder.onnx").run(["x_hat"], {{"z": z}})
```

`autoencoder.onnx` is both in one. With latentfit, `export.load(folder)` is the torch module, of `model.safetensors` and
`model.json`, which also says how data are prepared (`preparation`)."""


def _limits(found: Results) -> str:
    return (
        "- It takes images of this one shape, prepared as above; what it was not trained on is reconstructed badly.\n"
        "- A number of a code means nothing by itself; another seed gives other codes.\n"
        f"- Errors are of {found.dataset.test_images:,} test images of the same source; on others they may be larger.\n"
        "- Training images may be recognisable in reconstructions: do not publish a network of data that are private."
    )


def _licence(found: Results) -> str:
    if found.dataset.name in LICENCES:
        return "MIT, as the data and latentfit."
    return (
        "latentfit is under the MIT licence, which says nothing of a network trained with it. Those who own the data "
        "decide: set `license` at the top before you publish this."
    )


def plain(text: str) -> str:
    """Text as Markdown that shows it as it is, in one line."""
    return re.sub(
        r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    )
