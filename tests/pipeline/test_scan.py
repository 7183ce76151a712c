"""From arguments to jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhance_cli.errors import UsageError
from enhance_cli.pipeline import jobs
from enhance_cli.pipeline.names import natural
from enhance_cli.pipeline.scan import scan


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """in/a.jpg, in/b.PNG, in/notes.txt, in/.hidden.jpg, in/sub/c.jpg, in/sub/deep/d.tif; names only matter."""
    for name in ("a.jpg", "b.PNG", "notes.txt", ".hidden.jpg", "._a.jpg", "sub/c.jpg", "sub/deep/d.tif"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs(found):
    return [(str(job.source), str(job.target)) for job in found.jobs]


def test_a_folder_is_a_root_and_its_subfolders_are_counted(tree):
    found = scan(["in", "out"])
    assert pairs(found) == [("in/a.jpg", "out/a.jpg"), ("in/b.PNG", "out/b.PNG")]
    assert found.remarks == ["2 photos in subfolders of in left out; use -r to include them."]


def test_recursion_keeps_the_tree(tree):
    found = scan(["in", "out"], recursive=True)
    assert ("in/sub/deep/d.tif", "out/sub/deep/d.tif") in pairs(found)
    assert len(found.jobs) == 4
    assert found.remarks == []


def test_the_order_is_stable(tree):
    assert pairs(scan(["in", "out"], recursive=True)) == pairs(scan(["in", "out"], recursive=True))
    assert [job.index for job in scan(["in", "out"], recursive=True).jobs] == [0, 1, 2, 3]


def test_a_file_goes_by_its_name(tree):
    assert pairs(scan(["in/sub/c.jpg", "out"])) == [("in/sub/c.jpg", "out/c.jpg")]


def test_a_file_target_is_a_file(tree):
    found = scan(["in/a.jpg", "out/new.png"])
    assert pairs(found) == [("in/a.jpg", "out/new.png")]
    assert found.folder == Path("out")
    assert found.single_file


def test_a_target_with_a_picture_suffix_is_a_folder_for_several_inputs(tree):
    found = scan(["in/a.jpg", "in/sub/c.jpg", "album.jpg"])
    assert pairs(found) == [("in/a.jpg", "album.jpg/a.jpg"), ("in/sub/c.jpg", "album.jpg/c.jpg")]


def test_an_existing_folder_with_a_picture_suffix_stays_a_folder(tree):
    (tree / "album.jpg").mkdir()
    assert pairs(scan(["in/a.jpg", "album.jpg"])) == [("in/a.jpg", "album.jpg/a.jpg")]


def test_an_existing_file_is_no_folder(tree):
    with pytest.raises(UsageError, match=r"notes\.txt is a file"):
        scan(["in/a.jpg", "in/sub/c.jpg", "in/notes.txt"])


def test_a_glob_that_the_shell_left(tree):
    assert pairs(scan(["in/*.jpg", "out"])) == [("in/a.jpg", "out/a.jpg")]
    assert len(scan(["in/**/*.jpg", "out"]).jobs) == 2


def test_a_glob_without_matches_is_a_sentence(tree):
    found = scan(["in/*.webp", "out"])
    assert list(found.jobs) == []
    assert found.remarks == ["Nothing matches in/*.webp."]


@pytest.mark.parametrize("separator", ["\n", "\0", "\r\n"])
def test_lists(tree, separator):
    Path("list.txt").write_bytes(separator.join(["in/a.jpg", "in/sub/c.jpg", ""]).encode())
    assert pairs(scan(["@list.txt", "out"])) == [("in/a.jpg", "out/a.jpg"), ("in/sub/c.jpg", "out/c.jpg")]


def test_a_list_of_names_with_newlines(tree):
    name = "in/new\nline.jpg"
    Path(name).write_bytes(b"x")
    Path("list").write_bytes(name.encode() + b"\0")
    assert pairs(scan(["@list", "out"])) == [(name, "out/new\nline.jpg")]


def test_a_missing_list(tree):
    with pytest.raises(UsageError, match="nowhere"):
        scan(["@nowhere", "out"])


def test_stdin_and_stdout(tree):
    found = scan(["-", "-"])
    assert [(job.source, job.target) for job in found.jobs] == [(None, None)]
    assert found.folder is None


def test_stdin_needs_a_name_for_its_output(tree):
    with pytest.raises(UsageError, match="stdin has no name"):
        scan(["-", "out"])


def test_stdout_takes_one_picture(tree):
    with pytest.raises(UsageError, match="stdout takes one photo, and there are 2"):
        scan(["in", "-"])


def test_formats_change_suffixes_only_where_they_differ(tree):
    assert pairs(scan(["in", "out"], format="png")) == [("in/a.jpg", "out/a.png"), ("in/b.PNG", "out/b.PNG")]
    Path("in/e.jpeg").write_bytes(b"x")
    assert ("in/e.jpeg", "out/e.jpeg") in pairs(scan(["in", "out"], format="jpeg"))


def test_formats_without_a_writer_become_png(tree):
    Path("in/f.gif").write_bytes(b"x")
    assert ("in/f.gif", "out/f.png") in pairs(scan(["in", "out"]))
    with pytest.raises(UsageError, match=r"new\.gif cannot be written as gif"):
        scan(["in/a.jpg", "new.gif"])


def test_an_empty_folder_is_a_sentence(tree):
    Path("empty").mkdir()
    found = scan(["empty", "out"])
    assert list(found.jobs) == []
    assert found.remarks == ["empty holds no photos."]


def test_nothing_that_exists_is_a_usage_error(tree):
    with pytest.raises(UsageError, match="nowhere does not exist"):
        scan(["nowhere", "out"])


def test_one_missing_among_others_becomes_a_job_that_will_fail(tree):
    assert len(scan(["in/a.jpg", "nowhere.jpg", "out"]).jobs) == 2


@pytest.mark.parametrize("arguments", [[], ["in"]])
def test_too_few_arguments(arguments):
    with pytest.raises(UsageError, match="OUTPUT"):
        scan(arguments)


def test_clashing_names_are_found_with_both_names(tree):
    Path("in/a.png").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"in/a\.jpg and in/a\.png would both be written to out/a\.webp"):
        scan(["in", "out"], format="webp")


def test_names_equal_but_for_case_clash(tree):
    Path("in/A.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="would both be written"):
        scan(["in", "out"])


def test_illustrations_clash_too(tree):
    Path("in/a_heatmap.png").write_bytes(b"x")
    assert len(scan(["in", "out"]).jobs) == 3
    with pytest.raises(UsageError, match="a_heatmap"):
        scan(["in", "out"], beside=["heatmap"])


def test_an_output_that_is_its_source(tree):
    with pytest.raises(UsageError, match="its own source"):
        scan(["in", "in"])
    with pytest.raises(UsageError, match="its own source"):
        scan(["in/a.jpg", "in/a.jpg"])


def test_an_output_that_is_another_source(tree):
    Path("other/deep").mkdir(parents=True)
    Path("other/deep/d.tif").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"over the source in/sub/deep/d\.tif"):
        scan(["other", "in/sub/deep/d.tif", "in/sub"], recursive=True)


def test_the_output_folder_inside_the_input_is_not_read(tree):
    Path("in/out").mkdir()
    Path("in/out/a.jpg").write_bytes(b"x")
    found = scan(["in", "in/out"], recursive=True)
    assert "in/out/a.jpg" not in [str(job.source) for job in found.jobs]


def test_link_loops_end(tree):
    (tree / "in" / "sub" / "loop").symlink_to(tree / "in")
    assert len(scan(["in", "out"], recursive=True).jobs) == 4


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)))
def test_no_two_jobs_share_a_target(tmp_path_factory, names):
    """Whatever the names in a list: either a clash is refused or every target is its own."""
    folder = tmp_path_factory.mktemp("names")
    listing = folder / "list"
    listing.write_bytes(b"\0".join(os.fsencode(f"in/{name}.jpg") for name in names) + b"\0")
    try:
        jobs = list(scan([f"@{listing}", str(folder / "out")]).jobs)
    except UsageError:
        return
    assert [os.fsencode(job.source) for job in jobs] == [os.fsencode(f"in/{name}.jpg") for name in names]
    targets = [str(job.target).casefold() for job in jobs]
    assert len(set(targets)) == len(targets)


# --- folders in folders, and in place ----------------------------------------------------------------------


def test_an_input_inside_the_output_is_refused_with_both_names(tree):
    with pytest.raises(UsageError, match=r"INPUT in/sub lies inside the OUTPUT in"):
        scan(["in/sub", "in"])
    assert len(scan(["in/sub/c.jpg", "."]).jobs) == 1  # a file may well be


def test_in_place_every_argument_is_an_input(tree):
    found = scan(["in"], in_place=True)
    assert pairs(found) == [("in/a.jpg", "in/a.jpg"), ("in/b.PNG", "in/b.PNG")]
    assert found.folder == Path("in")
    assert scan(["in/a.jpg", "in/sub/c.jpg"], in_place=True).folder == Path("in")
    with pytest.raises(UsageError, match="at least one INPUT"):
        scan([], in_place=True)
    with pytest.raises(UsageError, match="stdin"):
        scan(["-"], in_place=True)
    with pytest.raises(UsageError, match="each one asks for 2"):
        scan(["in"], in_place=True, endings=("_1", "_2"))


def test_in_place_a_link_stays_a_link(tree):
    Path("in/link.jpg").symlink_to("sub/c.jpg")
    assert ("in/link.jpg", str(tree / "in/sub/c.jpg")) in pairs(scan(["in"], in_place=True))
    found = pairs(scan(["in"], in_place=True, recursive=True))
    assert ("in/link.jpg", str(tree / "in/sub/c.jpg")) in found
    assert "in/sub/c.jpg" not in dict(found)  # it is the same photo


def test_in_place_every_photograph_is_one(tree):
    Path("again").symlink_to("in")
    once = pairs(scan(["in/sub/c.jpg", "in"], in_place=True, recursive=True))
    named = ["in/sub/c.jpg", "in", "again", "in/../in", "in/sub/../a.jpg"]
    assert pairs(scan(named, in_place=True, recursive=True)) == once
    assert len(once) == 4


# --- what folders may hold ---------------------------------------------------------------------------------


def test_what_is_no_file_still_gets_its_job(tree):
    """Each becomes a line that says what it is; only folders are no images whatever their name."""
    Path("in/dangling.jpg").symlink_to("nowhere")
    Path("in/loop.jpg").symlink_to("loop.jpg")
    os.mkfifo("in/pipe.jpg")
    Path("in/folder.jpg").mkdir()
    named = {"in/a.jpg", "in/b.PNG", "in/dangling.jpg", "in/loop.jpg", "in/pipe.jpg"}
    assert {source for source, _ in pairs(scan(["in", "out"]))} == named
    assert {source for source, _ in pairs(scan(["in/*.[jP]*", "out"]))} == named


def test_photographs_that_nobody_reads_are_not_passed_over(tree):
    Path("in/light.EXR").write_bytes(b"x")
    assert ("in/light.EXR", "out/light.EXR") in pairs(scan(["in", "out"]))


def test_a_subfolder_that_cannot_be_listed_stands_for_what_is_in_it(tree, monkeypatch):
    real = os.scandir

    def refuse(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert ("in/sub", "out/sub") in pairs(scan(["in", "out"], recursive=True))
    with pytest.raises(UsageError, match="in/sub cannot be read"):
        scan(["in/sub", "out"])


@pytest.mark.parametrize(
    "name", ["new\nline.jpg", 'it\'s "quoted".jpg', "🌙.jpg", "é" * 125 + ".jpg", " .jpg", "-n.jpg"]
)
def test_odd_names(tree, name):
    Path("in", name).write_bytes(b"x")
    assert (f"in/{name}", f"out/{name}") in pairs(scan(["in", "out"]))


def test_names_in_two_unicode_forms_clash(tree):
    Path("in/\u00e9.jpg").write_bytes(b"x")
    Path("in/e\u0301.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="would both be written"):
        scan(["in", "out"])


@settings(max_examples=50)
@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1)), st.integers(1, 9)
)
def test_names_sort_alike_in_memory_and_in_runs(names, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "_SORTED_AT_ONCE", at_once)
        found = jobs.SortedNames()
        for name in names:
            found.append(name)
        assert list(found) == sorted(names, key=natural)


def test_many_files_take_no_more_memory_than_few(tmp_path):
    """The same memory for twice the files, but for the eight bytes of a hash and what an array grows ahead."""
    program = """if True:
        import sys, tracemalloc
        from enhance_cli.pipeline.scan import scan
        from enhance_cli.pipeline.targets import output_paths
        tracemalloc.start()
        found = scan(sys.argv[1:])
        print(sum(1 for _ in found.jobs), tracemalloc.get_traced_memory()[1])
    """
    peaks = []
    for count in (10_000, 20_000):  # both more than the 8192 names that are sorted at once
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            (folder / f"a-name-of-usual-length-{number:06d}.jpg").touch()
        # In a process of its own: tracing counts what every thread allocates.
        ran = subprocess.run(
            [sys.executable, "-c", program, str(folder), str(tmp_path / "out")],
            capture_output=True,
            check=True,
            text=True,
        )
        found, peak = map(int, ran.stdout.split())
        assert found == count
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 10_000 * 8 * 2 + 1_000_000


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lists_of_other_editors(tree, coding, separator, mark):
    mark = mark if coding in ("utf-16-be", "utf-16-le") else ""
    Path("in/é.jpg").write_bytes(b"x")
    Path("list.txt").write_bytes((mark + separator.join(["in/a.jpg", "in/é.jpg", ""])).encode(coding))
    assert pairs(scan(["@list.txt", "out"])) == [("in/a.jpg", "out/a.jpg"), ("in/é.jpg", "out/é.jpg")]


@pytest.mark.parametrize("names", [["a/b", "c/d", "e"], ["in/a.jpg", "in/line\n", "in/b.jpg\n"], ["aé", "b/c"]])
def test_a_list_that_is_separated_by_nuls_is_no_utf_16(tree, names):
    Path("list.txt").write_bytes("\0".join([*names, ""]).encode())
    assert [source for source, _ in pairs(scan(["@list.txt", "out"]))] == names


def test_a_list_that_only_looks_like_utf_16(tree):
    Path("list.txt").write_bytes(b"\xff\xfea\x00\x00\xd8\x00\x00b")
    with pytest.raises(UsageError, match="UTF-16"):
        scan(["@list.txt", "out"])


@pytest.mark.parametrize("name", ["album [2019]", "a*b", "what?", "[a-z]"])
def test_folders_whose_names_look_like_globs(tree, name):
    for folder in (name, f"{name}/[sub] 1"):
        Path(folder).mkdir()
        for file in ("a.jpg", "a[1].jpg"):
            Path(folder, file).write_bytes(b"x")
    both = [(f"{name}/a.jpg", "out/a.jpg"), (f"{name}/a[1].jpg", "out/a[1].jpg")]
    assert pairs(scan([name, "out"])) == both
    assert pairs(scan([f"{name}/*.jpg", "out"])) == both
    assert pairs(scan([f"{Path(name).absolute()}/*.jpg", "out"]))[0][1] == "out/a.jpg"


@pytest.mark.parametrize("pattern", ["trip*/album [2019]/*.jpg", "trip*/*/*.jpg", "trip*/album [2019]/[[]1] ?.jpg"])
def test_a_folder_that_looks_like_a_glob_below_one_that_is(tree, pattern):
    for number in "12":
        folder = Path(f"trip{number}", "album [2019]")
        folder.mkdir(parents=True)
        (folder / f"[1] {number}.jpg").write_bytes(b"x")
    found = [source for source, _ in pairs(scan([pattern, "out"]))]
    assert found == ["trip1/album [2019]/[1] 1.jpg", "trip2/album [2019]/[1] 2.jpg"]


@pytest.mark.parametrize("pattern", ["trip[12]/[ab]/*.jpg", "**/[ab]/[xy].jpg", "*/[ab]/?.jpg", "trip?/*/[x-y].jpg"])
def test_brackets_below_a_glob_still_match(tree, pattern):
    files = ["trip1/a/x.jpg", "trip2/b/y.jpg"]
    for file in files:
        Path(file).parent.mkdir(parents=True)
        Path(file).write_bytes(b"x")
    assert [source for source, _ in pairs(scan([pattern, "out"]))] == files
