"""The model folder: exact, tamper-evident, and whole at every moment."""

import hashlib
import json
import math
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tsrnn.exceptions import ModelFileError, ParameterError
from tsrnn.saving import FORMAT_VERSION, read_folder, write_folder
from tsrnn.saving import folder as saving

KILLS = int(os.environ.get("TSRNN_SOAK", "12"))

CONFIG = {
    "text": 'Zürich "π" \n \ud800',
    "numbers": [0, -1, 2**70, 0.1, -0.0, 5e-324, 1.7976931348623157e308],
    "odd": (math.inf, -math.inf, None, True, False, ()),
    "nested": {"": {}, "$float": "nan", "a": {"$tuple": [1], "$dict": []}, "$SPX": (1, (2, [3]))},
}
TENSORS = {
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    "scalar": np.float64(math.pi),
    "empty": np.zeros((0, 3)),
    "flags": np.array([True, False]),
    "big endian": np.arange(3, dtype=">i4"),
    "nan": np.array([math.nan, -0.0, math.inf]),
    "half": np.arange(3, dtype=np.float16),
    "step": np.arange(10, dtype=np.int64)[::-3],
}


def saved(tmp_path: Path) -> Path:
    write_folder(tmp_path / "model", CONFIG, TENSORS)
    return tmp_path / "model"


def weights_of(folder: Path) -> Path:
    (file,) = folder.glob("weights-*.safetensors")
    return file


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def forge(folder: Path, **entries: object) -> None:
    """Rewrite config.json with other entries and a right checksum, as an attacker would."""
    document = json.loads((folder / "config.json").read_text()) | entries
    (folder / "config.json").write_bytes(saving._seal(document | {"checksum": "0" * 64}))


def test_config_and_tensors_come_back_equal_to_the_last_bit_and_type(tmp_path):
    config, tensors = read_folder(saved(tmp_path))

    assert repr(config) == repr(CONFIG)
    assert tensors.keys() == TENSORS.keys()
    for name, expected in TENSORS.items():
        got = tensors[name]
        assert got.shape == np.shape(expected), name
        assert got.dtype == np.asarray(expected).dtype.newbyteorder("="), name
        assert got.tobytes() == np.asarray(expected).astype(got.dtype).tobytes(), name
        assert got.flags.writeable, name


def test_nan_in_the_config_comes_back_as_nan_and_the_file_is_strict_json(tmp_path):
    write_folder(tmp_path / "m", {"x": math.nan, "y": np.float32(0.1), "z": np.int64(3)}, {})

    config, tensors = read_folder(tmp_path / "m")
    literals = []
    json.loads((tmp_path / "m" / "config.json").read_text(), parse_constant=literals.append)

    assert math.isnan(config["x"])
    assert config["y"] == float(np.float32(0.1))
    assert type(config["z"]) is int
    assert tensors == {}
    assert literals == []


@pytest.mark.parametrize("value", [{1: 2}, b"bytes", {1, 2}, np.zeros(2), 1j, object, print])
def test_what_is_not_plain_data_is_refused_by_name_before_anything_is_written(tmp_path, value):
    with pytest.raises(ParameterError, match=r"config\['a'\]\[1\] must be text, a number"):
        write_folder(tmp_path / "m", {"a": [0, value]}, {})

    assert names(tmp_path) == []


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([object()]), np.array([1j])])
def test_tensors_of_other_dtypes_are_refused_by_name(tmp_path, array):
    with pytest.raises(ParameterError, match=r"float, integer or boolean dtype. Got 'w'"):
        write_folder(tmp_path / "m", {}, {"w": array})


def test_a_second_save_replaces_the_model_and_leaves_no_other_file(tmp_path):
    folder = saved(tmp_path)
    (folder / "notes.txt").write_text("mine")

    write_folder(folder, {"new": 1}, {"w": np.ones(3)})

    assert read_folder(folder)[0] == {"new": 1}
    assert names(folder) == ["config.json", "notes.txt", weights_of(folder).name]


def test_the_same_model_saved_twice_gives_the_same_bytes(tmp_path):
    write_folder(tmp_path / "a", CONFIG, TENSORS)
    write_folder(tmp_path / "b", CONFIG, dict(reversed(TENSORS.items())))

    assert names(tmp_path / "a") == names(tmp_path / "b")
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_format_version_stands_in_the_first_bytes(tmp_path):
    head = (saved(tmp_path) / "config.json").read_bytes()[:48]

    assert head.startswith(b'{\n "format": "tsrnn",\n "format_version": 1,')
    assert FORMAT_VERSION == 1


# ---- damage ---------------------------------------------------------------------------------


def test_every_flipped_byte_of_the_config_is_caught(tmp_path):
    write_folder(tmp_path, {"horizon": 7, "ids": ["AAPL", "SPX"], "x": 0.1}, {"w": np.ones(2)})
    file = tmp_path / "config.json"
    good = file.read_bytes()

    for position in range(len(good)):
        for mask in (0x01, 0x10, 0x20, 0xFF):
            bad = bytearray(good)
            bad[position] ^= mask
            file.write_bytes(bad)
            with pytest.raises(ModelFileError, match=r"config\.json"):
                read_folder(tmp_path)


def test_every_flipped_byte_of_the_weights_is_caught(tmp_path):
    folder = saved(tmp_path)
    file = weights_of(folder)
    good = file.read_bytes()

    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1 << (position % 8)
        file.write_bytes(bad)
        with pytest.raises(ModelFileError, match=r"weights-.*does not match its checksum"):
            read_folder(folder)


def test_random_mutations_are_caught_or_change_nothing(tmp_path):
    folder = saved(tmp_path)
    draw = random.Random(0)
    files = [folder / "config.json", weights_of(folder)]
    good = [file.read_bytes() for file in files]

    for _ in range(300):
        which = draw.randrange(2)
        first, last = sorted(draw.randrange(len(good[which])) for _ in range(2))
        bad = good[which][:first] + draw.randbytes(draw.randrange(9)) + good[which][last:]
        files[which].write_bytes(bad)
        if bad != good[which]:
            with pytest.raises(ModelFileError):
                read_folder(folder)
        files[which].write_bytes(good[which])


@pytest.mark.parametrize("file", ["config.json", "weights"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path, file, kept):
    folder = saved(tmp_path)
    path = folder / "config.json" if file == "config.json" else weights_of(folder)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])

    with pytest.raises(ModelFileError, match=rf"{path.name}.*Copy the folder again"):
        read_folder(folder)


def test_missing_files_are_named_with_the_way_out(tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere is no saved model: config.json is missing"):
        read_folder(tmp_path / "nowhere")
    folder = saved(tmp_path)
    weights_of(folder).unlink()
    with pytest.raises(
        ModelFileError, match=r"weights-\w+.safetensors is missing. Copy the folder"
    ):
        read_folder(folder)


def test_weights_of_another_model_are_refused(tmp_path):
    write_folder(tmp_path / "a", {}, {"w": np.zeros(3)})
    write_folder(tmp_path / "b", {}, {"w": np.ones(3)})
    weights_of(tmp_path / "a").write_bytes(weights_of(tmp_path / "b").read_bytes())

    with pytest.raises(ModelFileError, match="does not match its checksum"):
        read_folder(tmp_path / "a")


def test_a_newer_format_is_refused_by_its_number(tmp_path):
    folder = saved(tmp_path)
    forge(folder, format_version=3)

    with pytest.raises(ModelFileError, match=r"has format 3, this tsrnn \(.*\) reads 1. Upgrade"):
        read_folder(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "onnx"}', "null", "[" * 100_000])
def test_what_is_not_a_tsrnn_model_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_text(content)

    with pytest.raises(ModelFileError, match=r"config\.json"):
        read_folder(tmp_path)


def test_a_foreign_config_is_never_overwritten(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')

    with pytest.raises(ModelFileError, match=r"was not written by tsrnn.*Save to another folder"):
        write_folder(tmp_path, CONFIG, TENSORS)

    assert names(tmp_path) == ["config.json"]
    assert (tmp_path / "config.json").read_text() == '{"model_type": "bert"}'


# ---- malice ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "digest",
    ["../../../etc/passwd", "..\\..\\x", "%2e%2e%2f", "a" * 63, "A" * 64, 7, None, "a" * 64 + "\n"],
)
def test_weights_outside_the_folder_can_not_be_named(tmp_path, digest):
    folder = saved(tmp_path)
    forge(folder, weights={"sha256": digest, "bytes": 3})

    with pytest.raises(ModelFileError, match="lacks an entry, or has one of another type"):
        read_folder(folder)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff" * 8,
        (2**62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{",
        (80).to_bytes(8, "little")
        + b'{"w":{"dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,8]}}',
        pickle.dumps(print),
    ],
)
def test_absurd_weights_with_a_right_checksum_are_refused_without_harm(tmp_path, raw):
    folder = saved(tmp_path)
    digest = hashlib.sha256(raw).hexdigest()
    (folder / f"weights-{digest[:16]}.safetensors").write_bytes(raw)
    forge(folder, weights={"sha256": digest, "bytes": len(raw)})

    with pytest.raises(ModelFileError, match="is not a safetensors file"):
        read_folder(folder)


@pytest.mark.parametrize(
    "config", [[], {"a": {"$float": "1e400"}}, {"a": {"$float": []}}, {"a": {"$dict": [1]}}]
)
def test_a_forged_config_gives_plain_data_or_an_error(tmp_path, config):
    folder = saved(tmp_path)
    forge(folder, config=config)

    with pytest.raises(ModelFileError):
        read_folder(folder)


def test_deep_nesting_is_refused(tmp_path):
    folder = saved(tmp_path)
    forge(folder, config={})
    raw = (folder / "config.json").read_bytes()
    zeroed = raw.replace(json.loads(raw)["checksum"].encode(), b"0" * 64)
    nested = zeroed.replace(b'"config": {}', b'"config": {"a":' + b"[" * 3000 + b"]" * 3000 + b"}")
    checksum = hashlib.sha256(nested).hexdigest().encode()
    (folder / "config.json").write_bytes(nested.replace(b"0" * 64, checksum, 1))

    with pytest.raises(ModelFileError, match=r"nested too deeply|not valid JSON"):
        read_folder(folder)


def test_loading_neither_imports_torch_nor_unpickles(tmp_path):
    folder = saved(tmp_path)
    code = (
        "import sys, pickle\n"
        "pickle.loads = pickle.load = pickle.Unpickler = None\n"
        "from tsrnn.saving import read_folder\n"
        "before = set(sys.modules)\n"
        f"read_folder({str(folder)!r})\n"
        "print(sorted(m for m in set(sys.modules) - before if m.split('.')[0] not in ('json', 'numpy')))\n"
        "print([m for m in ('torch', 'mlflow', 'pytorch_lightning') if m in sys.modules])\n"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.split("\n")[:2] == ["[]", "[]"]


# ---- faults while saving --------------------------------------------------------------------

WRITER = """
import sys, numpy as np
from tsrnn.saving import write_folder
i = 0
print("go", flush=True)
while True:
    i += 1
    write_folder(sys.argv[1], {"version": i}, {"w": np.full(20_000, float(i)), "v": np.array(i)})
"""


def is_whole(folder: Path) -> int:
    """Return the version of the model in the folder, whose parts must agree."""
    config, tensors = read_folder(folder)
    assert tensors["v"] == config["version"]
    assert (tensors["w"] == config["version"]).all()
    return config["version"]


def start_writer(folder: Path) -> subprocess.Popen:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"go\n"
    writer.stdout.close()
    return writer


# Forks a writer for each line it reads and kills it after the seconds the line says.
KILLER = """
import os, signal, sys, time, numpy as np
from tsrnn.saving import write_folder
print("go", flush=True)
for line in sys.stdin:
    child = os.fork()
    i = 0
    while child == 0:
        i += 1
        write_folder(sys.argv[1], {"version": i}, {"w": np.full(20_000, float(i)), "v": np.array(i)})
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_model(tmp_path):
    folder = tmp_path / "model"
    write_folder(folder, {"version": 0}, {"w": np.zeros(20_000), "v": np.array(0)})
    draw = random.Random(1)
    versions, left = [], 0

    with subprocess.Popen(
        [sys.executable, "-c", KILLER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as killer:
        assert killer.stdin is not None
        assert killer.stdout is not None
        assert killer.stdout.readline() == "go\n"
        patience = 1  # a busy machine takes longer to begin a save, and to end one
        while len(versions) < KILLS or not (left and max(versions)):
            patience += len(versions) >= KILLS
            assert patience < 10 * KILLS, "no kill landed inside a save, or none after one"
            killer.stdin.write(f"{patience * draw.uniform(0.002, 0.05)}\n")
            killer.stdin.flush()
            assert int(killer.stdout.readline()) == signal.SIGKILL
            versions.append(is_whole(folder))
            left += len(names(folder)) > 2
        killer.stdin.close()

    write_folder(folder, {"version": -1}, {"w": np.full(20_000, -1.0), "v": np.array(-1)})
    assert is_whole(folder) == -1
    assert len(names(folder)) == 2, "the next save removes what the killed ones left"
    assert names(tmp_path) == ["model"]


@pytest.mark.slow
def test_readers_and_two_writers_at_once_always_see_a_whole_model(tmp_path):
    folder = tmp_path / "model"
    write_folder(folder, {"version": 0}, {"w": np.zeros(20_000), "v": np.array(0)})
    writers = [start_writer(folder) for _ in range(2)]
    try:
        seen = {is_whole(folder) for _ in range(100)}
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()

    assert len(seen) > 1


def test_threads_saving_to_one_folder_leave_one_of_their_models(tmp_path):
    def save(i: int) -> None:
        for _ in range(5):
            write_folder(
                tmp_path / "m", {"version": i}, {"w": np.full(100, float(i)), "v": np.array(i)}
            )

    threads = [threading.Thread(target=save, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert is_whole(tmp_path / "m") in range(4)
    assert len(names(tmp_path / "m")) == 2


@pytest.mark.parametrize("old", [True, False])
def test_a_full_disk_is_an_oserror_that_names_the_path_and_keeps_the_old_model(tmp_path, old):
    folder = tmp_path / "deep" / "model"
    if old:
        write_folder(folder, {"version": 1}, {"w": np.ones(3), "v": np.array(1)})
    before = names(folder) if old else None
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(OSError, match="Could not save the model: File too large") as caught:
            write_folder(folder, {}, {"w": np.ones(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)

    assert caught.value.filename == str(folder)
    if old:
        assert names(folder) == before
        assert is_whole(folder) == 1
    else:
        assert names(tmp_path) == []


@pytest.mark.parametrize("step", range(5))
def test_an_error_at_any_step_keeps_the_old_model_and_leaves_no_litter(tmp_path, monkeypatch, step):
    folder = tmp_path / "model"
    write_folder(folder, {"version": 1}, {"w": np.ones(3), "v": np.array(1)})
    before = names(folder)
    calls = []

    def fail_at(real):
        def call(*args, **kwargs):
            calls.append(real)
            if len(calls) == step + 1:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(saving.os, "fsync", fail_at(os.fsync))
    monkeypatch.setattr(Path, "replace", fail_at(Path.replace))
    with pytest.raises(KeyboardInterrupt):
        write_folder(folder, {"version": 2}, {"w": np.full(3, 2.0), "v": np.array(2)})
    monkeypatch.undo()

    assert names(folder) == before
    assert is_whole(folder) == 1


def test_a_folder_under_a_regular_file_is_an_oserror_that_names_it(tmp_path):
    (tmp_path / "file").write_text("mine")

    for target in (tmp_path / "file" / "model", tmp_path / "file"):
        with pytest.raises(OSError, match="Could not save the model") as caught:
            write_folder(target, CONFIG, TENSORS)
        assert caught.value.filename == str(target)

    assert (tmp_path / "file").read_text() == "mine"


def test_what_a_killed_writer_left_is_removed_by_the_next_save(tmp_path):
    folder = saved(tmp_path)
    (folder / "config.json.tmp").write_text("half")
    (folder / "weights-0123456789abcdef.safetensors").write_bytes(b"orphan")
    (folder / "weights-0123456789abcdef.safetensors.tmp").write_bytes(b"half")
    (folder / "weights-mine.safetensors").write_bytes(b"not ours")

    write_folder(folder, CONFIG, TENSORS)

    assert len(names(folder)) == 3
    assert (folder / "weights-mine.safetensors").exists()
    assert (
        safetensors.numpy.load((next(folder.glob("weights-[0-9a-f]*"))).read_bytes()).keys()
        == TENSORS.keys()
    )
