"""Learns to predict the byte after eight others in the dataset's files, then saves the weights and a manifest."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit(
        "PyTorch is missing: install python3-torch (Debian), or build the image with "
        "--build-arg TORCH=pip, and run the job again"
    )

CONTEXT = 8
MOST_BYTES = 1_000_000
STEPS_PER_EPOCH = 40
BATCH = 256


def read_dataset(folder: str) -> bytes:
    """Returns the first bytes of the dataset's files, in the order of their names."""
    if not folder:
        print("no dataset given: training on a made-up text")
        return b"the quick brown fox jumps over the lazy dog. " * 200
    data = bytearray()
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    for path in files:
        with path.open("rb") as file:
            data += file.read(MOST_BYTES - len(data))
        if len(data) >= MOST_BYTES:
            break
    print(f"dataset: {len(files)} file(s), {len(data)} bytes read")
    # A tiny dataset is repeated until there is something to draw from.
    while data and len(data) < 4 * CONTEXT:
        data *= 2
    return bytes(data) or bytes(4 * CONTEXT)


def keep_to_share(fraction: float) -> None:
    """Limits this job's GPU memory, so that an excess fails here and not in other jobs on the GPU."""
    if fraction >= 1:
        return
    torch.cuda.set_per_process_memory_fraction(fraction)
    print(f"GPU memory: kept to {fraction:.0%} of the GPU, {os.environ.get('JR_GPU_MEM_MB', '?')} MiB")


def choose_device() -> torch.device:
    if not torch.cuda.is_available():
        print("device: CPU")
        return torch.device("cpu")
    print(f"device: {torch.cuda.get_device_name(0)} ({torch.cuda.device_count()} visible)")
    keep_to_share(float(os.environ.get("JR_GPU_FRACTION", "1")))
    return torch.device("cuda")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    print(f"PyTorch {torch.__version__}")
    torch.manual_seed(options.seed)
    device = choose_device()
    text = torch.tensor(list(read_dataset(os.environ.get("JR_DATASET_DIR", ""))), device=device)
    model = nn.Sequential(
        nn.Embedding(256, 16),
        nn.Flatten(),
        nn.Linear(16 * CONTEXT, options.hidden),
        nn.ReLU(),
        nn.Linear(options.hidden, 256),
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    places = torch.arange(CONTEXT, device=device)

    losses = []
    started = time.monotonic()
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for _ in range(STEPS_PER_EPOCH):
            starts = torch.randint(0, len(text) - CONTEXT, (BATCH,), device=device)
            windows = text[starts[:, None] + places]
            loss = nn.functional.cross_entropy(model(windows), text[starts + CONTEXT])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / STEPS_PER_EPOCH)
        print(f"epoch {epoch}/{options.epochs}  loss {losses[-1]:.4f}  {time.monotonic() - started:.1f} s")

    output = Path(os.environ.get("JR_OUTPUT_DIR", "."))
    (output / "weights").mkdir(exist_ok=True)
    torch.save(model.state_dict(), output / "weights" / "model.pth")
    metrics = {"epochs": options.epochs, "loss": losses, "device": str(device)}
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    manifest = {
        "experiment_id": os.environ.get("JR_EXPERIMENT_ID"),
        "outputs": [
            {
                "id": "weights",
                "path": "weights/model.pth",
                "type": "weights",
                "metadata": {"framework": "pytorch", "final_loss": losses[-1]},
            },
            {"id": "metrics", "path": "metrics.json", "type": "metrics"},
        ],
    }
    (output / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print("saved weights/model.pth, metrics.json, manifest.json")


if __name__ == "__main__":
    main()
