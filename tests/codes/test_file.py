import hashlib
import json
import pickle

import numpy as np
import pytest

from recq_lib.codes.codes import Codes
from recq_lib.errors import RecordError

DIMS = (1, 63, 64, 65, 200, 256)


def random_codes(bits=1, n_segments=3, n_nodes=50, dim=70, n_users=20, scaled=True, seed=0):
    rng = np.random.default_rng(seed)
    levels = 2 * rng.integers(0, 2**bits, (n_segments, n_nodes, dim)) - (2**bits - 1)
    scales = rng.random((n_segments, n_nodes)) if scaled else None
    return Codes.from_levels(levels, bits, scales, rng.random(n_segments), n_users=n_users)


def split(content):
    """(first line, digits, header, arrays) of a file, by its line ends alone."""
    first, digits, header, arrays = content.split(b"\n", 3)
    return first, digits, header, arrays


def whole(header, arrays):
    """A file with a right checksum around this header (dict or bytes) and these arrays."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = text + b"\n" + arrays
    return b"recq codes\n" + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 8])
@pytest.mark.parametrize("dim", DIMS)
def test_round_trip_and_size(tmp_path, dim, bits, scaled):
    codes = random_codes(bits, dim=dim, scaled=scaled)
    path = codes.save(tmp_path / "new" / "some.codes")
    back = Codes.load(path)
    assert back == codes and (back.bits, back.dim, back.n_users) == (bits, dim, 20)
    for name in ("planes", "weights") + (("scales",) if scaled else ()):
        np.testing.assert_array_equal(getattr(back, name), getattr(codes, name))
        assert getattr(back, name).dtype == getattr(codes, name).dtype
    assert scaled or back.scales is None
    content = path.read_bytes()
    first, digits, header, arrays = split(content)
    assert len(arrays) == codes.n_bytes() == 3 * 50 * (8 * bits * ((dim + 63) // 64) + (4 if scaled else 0))
    assert first == b"recq codes" and digits == hashlib.sha256(header + b"\n" + arrays).hexdigest().encode()
    assert 0 < len(content) - codes.n_bytes() < 4096


def test_arrays_lie_as_they_are_from_a_multiple_of_64_on(tmp_path):
    """So that they can be mapped: read here without the library, by what the header says."""
    codes = random_codes(bits=2)
    path = codes.save(tmp_path / "c")
    content = path.read_bytes()
    header = json.loads(split(content)[2])
    begin = len(content) - codes.n_bytes()
    assert begin % 64 == 0 and header["format"] == 1
    for name in ("planes", "scales"):
        kind, shape, place = header["arrays"][name]
        mapped = np.memmap(path, kind, "r", begin + place, tuple(shape))
        np.testing.assert_array_equal(mapped, getattr(codes, name))
    assert np.float32(header["weights"]).tolist() == codes.weights.tolist()


def test_equal_codes_give_equal_files_and_replace_old_ones(tmp_path):
    codes = random_codes()
    path = tmp_path / "some.codes"
    path.write_bytes(b"old")
    first = codes.save(path).read_bytes()
    assert codes.save(str(tmp_path / "again.codes")).read_bytes() == first
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.codes", "some.codes"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = random_codes().save(tmp_path / "c")
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no room"):
        random_codes(seed=1).save(path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["c"]


def test_numpy_sizes_and_no_nodes_can_be_stored(tmp_path):
    codes = Codes.from_signs(np.ones((1, 3, 2)), n_users=np.int64(2))
    assert Codes.load(codes.save(tmp_path / "c")).n_users == 2
    empty = Codes.from_signs(np.ones((1, 0, 2)), np.ones((1, 0)), n_users=0)
    assert Codes.load(empty.save(tmp_path / "e")) == empty


def test_missing_files_and_folders_are_named(tmp_path):
    for name in ("absent.codes", ""):
        with pytest.raises(RecordError, match="does not exist; write it with Codes.save"):
            Codes.load(tmp_path / name)


def check_refused(path, content, text):
    path.write_bytes(content)
    with pytest.raises(RecordError, match=text) as caught:
        Codes.load(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_a_change_of_any_byte_and_any_cut_is_refused(tmp_path):
    codes = random_codes(bits=2, n_segments=1, n_nodes=3, dim=5, n_users=1)
    path = codes.save(tmp_path / "some.codes")
    good = path.read_bytes()
    for place in range(len(good)):
        for other in {good[place] ^ 1, good[place] ^ 128, 0, 10, 32, 255} - {good[place]}:
            check_refused(path, good[:place] + bytes([other]) + good[place + 1 :], "damaged|is not a codes file|has format")
    for end in range(len(good)):
        check_refused(path, good[:end], "damaged|is not a codes file")
    for tail in (b"\0", b"more"):
        check_refused(path, good + tail, "damaged .*bytes, but tells of")
    path.write_bytes(good)
    assert Codes.load(path) == codes


def test_foreign_files_are_named(tmp_path):
    path = tmp_path / "some.codes"
    np.savez(path.with_suffix(".npz"), bits=np.zeros(3))
    for content in (b"\x93NUMPY", pickle.dumps({"bits": 1}), path.with_suffix(".npz").read_bytes(), b"recq codes"):
        check_refused(path, content, "is not a codes file, or its first line is damaged")


def test_files_with_a_right_checksum_and_wrong_content_are_refused(tmp_path):
    path = random_codes(dim=70).save(tmp_path / "some.codes")
    header, arrays = json.loads(split(path.read_bytes())[2]), split(path.read_bytes())[3]
    plan = header["arrays"]
    path.write_bytes(whole(header, arrays))
    assert Codes.load(path) == random_codes(dim=70)
    huge = ["<u8", [10**6, 10**6, 1, 2], 0]
    for change, text in (
        ({"format": 2}, "has format 2, this version reads 1; update recq"),
        ({"format": 0}, "damaged .*format"),
        ({"format": "1"}, "damaged .*format"),
        ({"format": True}, "damaged .*format"),
        ({"dim": 64}, "damaged .*for dim 64"),
        ({"dim": 66}, "damaged .*behind column 66"),
        ({"dim": "70"}, "damaged"),
        ({"dim": 70.0}, "damaged"),
        ({"bits": 2}, "damaged .*bits is 2, but there are 1 planes"),
        ({"n_users": 51}, "damaged .*n_users is 51"),
        ({"n_users": None}, "damaged"),
        ({"weights": [1.0]}, "damaged .*weights"),
        ({"weights": [1.0, 1.0, float("nan")]}, "damaged .*weights hold NaN"),
        ({"weights": "many"}, "damaged"),
        ({"weights": [1e300, 1, 1]}, "damaged .*weights hold NaN or infinity"),
        ({"arrays": None}, "damaged .*no arrays"),
        ({"arrays": {}}, "damaged .*no arrays"),
        ({"arrays": {"scales": ["<f4", [3, 50], 0]}}, "damaged .*bytes, but tells of"),
        ({"arrays": plan | {"planes": huge}}, "damaged"),
        ({"arrays": {"planes": huge}}, "damaged .*bytes, but tells of"),
        ({"arrays": {"planes": ["<u8", [3, 50, 1, -2], 0]}}, "no usable type, shape and place of planes"),
        ({"arrays": {"planes": ["<u8", [3, 50.0, 1, 2], 0]}}, "no usable type, shape and place of planes"),
        ({"arrays": {"planes": ["|O", [3, 50, 1, 2], 0]}}, "no usable type, shape and place of planes"),
        ({"arrays": plan | {"scales": ["<f4", [3, 50], 0]}}, "no usable type, shape and place of scales"),
        ({"arrays": plan | {"scales": "none"}}, "no usable type, shape and place of scales"),
        ({"arrays": {"plans": plan["planes"], "scales": plan["scales"]}}, "damaged .*planes"),
        ({"arrays": plan | {"planes": ["<u8", [300], 0]}}, r"damaged .*shape \(300,\)"),
        ({"arrays": plan | {"planes": ["<u8", [300] + 100 * [1], 0]}}, "damaged"),
        ({"arrays": {**plan, "none": ["<u8", [0, 2**80], 3 * 50 * 20]}}, "damaged"),
    ):
        check_refused(path, whole(header | change, arrays), text)
    for missing in header:
        check_refused(path, whole({name: value for name, value in header.items() if name != missing}, arrays), "damaged")
    for text in (b"[1]", b"1", b"{", b"", b"[" * 100_000, b"\xff\xfe", b'{"format": ' + b"9" * 5000 + b"}"):
        check_refused(path, whole(text, arrays), "damaged|has format")


def test_a_file_that_tells_of_more_than_it_has_takes_no_memory(tmp_path):
    """A terabyte is announced with a right checksum; the size of the file gives it away before anything is allocated."""
    header = {"format": 1, "bits": 1, "dim": 64, "n_users": 1, "weights": [1.0], "arrays": {"planes": ["<u8", [1, 2**37, 1, 1], 0]}}
    check_refused(tmp_path / "some.codes", whole(header, b"\0" * 64), "tells of 1099511")
