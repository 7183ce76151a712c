"""`enhance doctor`: checks what is requested, what is available, and what would fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import util
from typing import Annotated, Any

import typer

from enhance_cli import methods
from enhance_cli.cli.flags import Debug, Json
from enhance_cli.errors import EnhanceError, ExitCode

HELP = "Check the installation: device, codecs, weights, versions and caches."

_PACKAGES = (
    "enhance-cli",
    "numpy",
    "numba",
    "opencv-python-headless",
    "pillow",
    "simplejpeg",
    "onnxruntime-gpu",
    "onnxruntime",
    "torch",
    "safetensors",
    "typer",
    "rich",
    "tqdm",
)
_CLASHING = (
    ("onnxruntime", "onnxruntime-gpu"),
    ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
)


def command(
    device: Annotated[
        str, typer.Option(help="The device to try: auto (all cards), cpu, cuda:N, or several cards (cuda:0,cuda:1).")
    ] = "auto",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check everything a run needs; exit 0 if all of it works."""
    from enhance_cli.cli.console import Console
    from enhance_cli.cli.failures import reported

    console = Console(debug=debug, json=json)
    with reported(console):
        findings, problems = examine(device)
        if json:
            console.data({"schema": "enhance-doctor/1", **findings, "problems": [text for text, _ in problems]})
        else:
            for section, values in findings.items():
                console.text(f"{section}:")
                for line in _lines(values):
                    console.text(f"  {line}")
            console.text("\n".join(f"problem: {text}" for text, _ in problems) or "No problems found.")
        raise typer.Exit(problems[0][1] if problems else ExitCode.OK)


def examine(device: str) -> tuple[dict[str, dict[str, Any]], list[tuple[str, ExitCode]]]:
    """Check every part; a part that fails is listed as a problem with its exit code and never raises."""
    problems: list[tuple[str, ExitCode]] = []
    findings = {
        "versions": _versions(problems),
        "device": _device(device, problems),
        "cards": _cards(device, problems),
        "onnxruntime": _onnxruntime(problems),
        "codecs": _codecs(problems),
        "weights": _weights(problems),
        "cache": _cache(problems),
    }
    return findings, problems


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Findings as lines, nested ones indented."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from (f"  {line}" for line in _lines(value))
        else:
            yield f"{name}: {value}"


def _versions(problems: list[tuple[str, ExitCode]]) -> dict[str, Any]:
    import platform
    from importlib import metadata

    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    for group in _CLASHING:
        present = [name for name in group if util.find_spec(name.split("-")[0].replace("opencv", "cv2")) and _has(name)]
        if len(present) > 1:
            problems.append((f"{' and '.join(present)} share one folder: uninstall all but one.", ExitCode.DEVICE))
    return found


def _has(name: str) -> bool:
    return _version_of(name) is not None


def _version_of(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _device(asked: str, problems: list[tuple[str, ExitCode]]) -> dict[str, Any]:
    from enhance_cli.engines import cuda_cards, devices, open_engine
    from enhance_cli.engines.cpu import available_cores

    found: dict[str, Any] = {"asked": asked, "cores": available_cores(), "cards seen by the driver": cuda_cards()}
    reasons: list[str] = []
    try:
        opened = [open_engine(name, remark=reasons.append) for name in devices(asked)]
        found["got"] = ", ".join(engine.device for engine in opened)
        for engine in opened:
            engine.close()
    except EnhanceError as error:
        found["got"] = None
        problems.append((str(error), error.exit_code))
    if found["got"] == "cpu" and asked == "auto":
        problems += [(reason, ExitCode.DEVICE) for reason in reasons]
    return found


def _cards(asked: str, problems: list[tuple[str, ExitCode]]) -> dict[str, Any]:
    """What the driver says of the cards asked for, and a trial of each that can be opened."""
    from enhance_cli.engines import cards, devices, open_engine
    from enhance_cli.errors import DeviceError

    driver = cards.driver()
    cuda = None if driver.cuda is None else ".".join(map(str, driver.cuda))
    found: dict[str, Any] = {"driver": cards.driver_release() if cuda else driver.trouble, "CUDA of the driver": cuda}
    if driver.cards:
        found["nvImageCodec"] = _version_of("nvidia-nvimgcodec-cu12") or "not installed (the extra is gpu-codecs)"
    try:
        names = devices(asked)
    except EnhanceError:
        return found  # told already
    wanted = {int(name.partition(":")[2] or 0) for name in names if name.startswith("cuda")}
    for card in driver.cards:
        if asked != "auto" and card.number not in wanted:
            continue
        of_card: dict[str, Any] = {
            "name": card.name,
            "compute capability": ".".join(map(str, card.capability)),
            "memory, GB": round(card.memory / 1e9, 1),
        }
        found[f"cuda:{card.number}"] = of_card
        try:
            engine = open_engine(f"cuda:{card.number}")
        except DeviceError as error:  # told already if no other card is taken in its place
            of_card["not used"] = str(error)
            continue
        from enhance_cli.cli.trial import trial
        from enhance_cli.engines import fitness

        free = fitness.free(card)
        of_card["free, GB"] = None if free is None else round(free / 1e9, 1)
        of_card |= trial(engine, lambda text: problems.append((text, ExitCode.DEVICE)))
        if _has("nvidia-nvimgcodec-cu12"):
            from enhance_cli.imaging.codecs.jpeg import on_card

            decoder = on_card.opened(card.number)
            of_card["JPEGs"] = f"nvImageCodec {decoder}" if isinstance(decoder, str) else "decoded by nvImageCodec"
        engine.close()
    return found


def _onnxruntime(problems: list[tuple[str, ExitCode]]) -> dict[str, Any]:
    """Providers of a session that really ran; the package's own list of available providers proves nothing."""
    try:
        import onnxruntime

        from enhance_cli.engines import weights

        method = next(method for method in map(methods.get, methods.names()) if method.weights and not method.uses)
        path = weights.find(method, method.weights[0], "onnx").path
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return {"session got": ", ".join(session.get_providers())}
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever it meets
        problems.append((f"ONNX Runtime cannot run a network: {error}", ExitCode.WEIGHTS))
        return {"session got": None}


def _codecs(problems: list[tuple[str, ExitCode]]) -> dict[str, Any]:
    """Write and read back every format."""
    import numpy as np

    from enhance_cli.imaging import codecs
    from enhance_cli.types import Image

    found = {}
    for item in codecs.FORMATS.values():
        if not codecs.is_installed(item.name):
            found[item.name] = f"not installed (the extra is enhance-cli[{item.extra}])"
            continue
        if not item.readable:
            continue
        if not item.writable:
            found[item.name] = f"read, and written as {item.written_as}"
            continue
        for bits in (8, 16) if item.sixteen_bit else (8,):
            ramp = np.linspace(0, 2**bits - 1, 32 * 32 * 3).reshape(32, 32, 3)
            picture = Image(ramp.astype(np.uint8 if bits == 8 else np.uint16))

            def round_trip(picture: Image = picture, name: str = item.name) -> str:
                data, _ = codecs.encode(picture, name)
                back = codecs.decode(data)
                same = back.pixels.shape == picture.pixels.shape and back.pixels.dtype == picture.pixels.dtype
                return "reads and writes" if same else "differs from what was written"

            found[f"{item.name} {bits} bit"] = _tried(round_trip, f"{item.name} does not work", problems)
    return found


def _weights(problems: list[tuple[str, ExitCode]]) -> dict[str, Any]:
    from enhance_cli.engines import weights
    from enhance_cli.exposure import OWNER

    found: dict[str, Any] = {"folder": weights.weights_folder()}
    owners: list[Any] = [*map(methods.get, methods.names()), OWNER]
    for owner in owners:
        for stem in owner.weights:
            for suffix in ("onnx", "safetensors"):

                def verify(owner: Any = owner, stem: str = stem, suffix: str = suffix) -> str:
                    item = weights.find(owner, stem, suffix)
                    return f"{item.id}, sha256 {item.sha256[:16]} verified"

                found[f"{owner.name}/{stem}.{suffix}"] = _tried(verify, "weights", problems, ExitCode.WEIGHTS)
    return {key: str(value) for key, value in found.items()}


def _cache(problems: list[tuple[str, ExitCode]]) -> dict[str, Any]:
    """Check every compiled kernel; damaged ones are removed, to be compiled again."""
    import tempfile

    from enhance_cli.engines import compiled

    store = compiled.kernel_store()
    found: dict[str, Any] = {"kernels": None, "kernels compiled": 0, "temporary": tempfile.gettempdir()}
    if store is None:
        problems += [(text, ExitCode.OK) for text in compiled.trouble().values()]
        return found
    whole, damaged = store.repair()
    if damaged:
        problems.append(
            (
                f"Damaged files in the kernel cache: {damaged}. They were removed, and will be compiled again.",
                ExitCode.OK,
            )
        )
    try:
        store.write("enhance-doctor", b"", b"")
        store.forget("enhance-doctor", b"")
    except OSError as error:
        problems.append(
            (
                f"Compiled kernels cannot be kept in {store.folder} ({error.strerror}): every run compiles them; free "
                "space there or fix its permissions, or set ENHANCE_CACHE_DIR.",
                ExitCode.OK,
            )
        )
    return {**found, "kernels": str(store.folder), "kernels compiled": whole}


def _tried(
    work: Callable[[], str],
    what: str,
    problems: list[tuple[str, ExitCode]],
    code: ExitCode = ExitCode.SOME_FAILED,
) -> str:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever it meets
        problems.append((f"{what}: {error}", code))
        return f"failed: {error}"
