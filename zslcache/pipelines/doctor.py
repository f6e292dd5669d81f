"""What this machine has and lacks: versions, devices, disk; every lack comes with its remedy."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import sys
import tempfile
from dataclasses import dataclass

from zslcache.home import Home
from zslcache.machine import available_cores

PACKAGES = {  # distribution -> the module that must import
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "open_clip_torch": "open_clip",
    "zarr": "zarr",
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "safetensors": "safetensors",
    "pillow": "PIL",
}
ENOUGH_DISK = 20e9  # tokens of the largest public benchmark take 11 GB


@dataclass(frozen=True)
class Check:
    """One finding; `fix` says how to mend it and is empty when all is well or nothing needs mending."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def examine(home: Home) -> list[Check]:
    """Look at everything the pipeline leans on."""
    checks = [_python()]
    checks += [_package(distribution, module) for distribution, module in PACKAGES.items()]
    return [*checks, _faiss(), _device(), Check("cores", True, str(available_cores())), _home(home), _disk(home)]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return Check("python", ok, version, "" if ok else "Use Python 3.11 or newer: python3.11 -m venv .venv")


def _package(distribution: str, module: str) -> Check:
    try:
        importlib.import_module(module)
        return Check(distribution, True, importlib.metadata.version(distribution))
    except Exception as error:  # an installed package may fail to import in any way it likes
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        fix = f"pip install --force-reinstall {distribution}"
        if distribution in ("torch", "torchvision"):
            # A CPU-only torch beside a CUDA torchvision fails with "operator torchvision::nms does not exist".
            fix = "pip install --force-reinstall torch torchvision   (both together, from one index)"
        return Check(distribution, False, reason, fix)


def _faiss() -> Check:
    try:
        faiss = importlib.import_module("faiss")
    except ImportError as error:
        return Check("faiss", False, str(error), "pip install faiss-gpu (Linux x86-64) or faiss-cpu (elsewhere)")
    devices = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    return Check("faiss", True, f"{faiss.__version__}, {devices} GPUs")


def _device() -> Check:
    try:
        torch = importlib.import_module("torch")
    except Exception:
        return Check("device", False, "unknown: torch does not import", "Mend torch first, see above.")
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return Check("device", True, f"{count} x {torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")
    if shutil.which("nvidia-smi"):
        fix = "Update the NVIDIA driver, or install a torch built for it: https://pytorch.org/get-started/locally"
        return Check("device", False, f"an NVIDIA driver is here, but torch {torch.__version__} cannot use it", fix)
    return Check("device", True, "CPU only; extraction with large backbones will be slow")


def _home(home: Home) -> Check:
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=home.root, prefix=".doctor-"):
            pass
    except OSError as error:
        fix = "Choose a folder you can write to: zslcache --home DIR ..., or set ZSLCACHE_HOME."
        return Check("home", False, f"{home.root}: {error.strerror}", fix)
    return Check("home", True, str(home.root))


def _disk(home: Home) -> Check:
    place = next(path for path in (home.root, *home.root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    fix = "Free some space, choose another --home, or store less: --features global, --pool 2x2, --store-dtype int8."
    return Check("disk", free >= ENOUGH_DISK, f"{free / 1e9:.0f} GB free", "" if free >= ENOUGH_DISK else fix)
