"""The builder's plain lines become one state an image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailctl.local.build import BuildLog

LINES = """\
#0 building with "default" instance using docker driver
#1 [api internal] load build definition from Dockerfile
#1 DONE 0.0s
#2 [api builder 1/3] FROM docker.io/library/python:3.13
#2 CACHED
#3 [api builder 2/3] RUN pip install --require-hashes -r requirements.txt
#3 1.204 Collecting fastapi
#3 DONE 9.9s
#4 [usermgmt stage-1 2/2] COPY --from=builder /venv /venv
#4 DONE 0.1s
#5 [api] exporting to image
#5 naming to docker.io/library/shop-mail-api done
#5 DONE 0.3s
""".splitlines()


def test_each_step_and_each_finished_image_is_news() -> None:
    log = BuildLog(["api", "usermgmt"])
    news = [found for line in LINES if (found := log.read(line))]
    assert news == [
        "api: builder 1/3 FROM docker.io/library/python:3.13",
        "api: builder 2/3 RUN pip install --require-hashes -r requirements.txt",
        "usermgmt: stage-1 2/2 COPY --from=builder /venv /venv",
        "api: built in 0 s",
    ]


def test_an_image_is_done_when_it_was_exported_and_others_are_not() -> None:
    log = BuildLog(["api", "usermgmt", "postfix"])
    for line in LINES:
        log.read(line)
    assert [image.doing for image in log.images.values()] == [
        "done",
        "stage-1 2/2 COPY --from=builder /venv /venv",
        "waiting",
    ]
    log.finish()
    assert {image.doing for image in log.images.values()} == {"done"}


def test_an_export_that_failed_is_not_a_built_image() -> None:
    log = BuildLog(["api"])
    log.read("#5 [api] exporting to image")
    assert log.read("#5 ERROR: no space left on device") is None
    assert log.images["api"].doing == "exporting"


def test_only_the_last_lines_are_kept_for_the_failure() -> None:
    log = BuildLog(["api"])
    for number in range(1000):
        log.read(f"#3 {number}.0 line {number}")
    assert log.tail[-1].endswith("line 999") and len(log.tail) < 100


@given(st.lists(st.one_of(st.text(max_size=60), st.sampled_from(LINES))))
def test_no_line_of_any_builder_breaks_the_reader(lines: list[str]) -> None:
    log = BuildLog(["api"])
    for line in lines:
        log.read(line)
    assert set(log.images) == {"api"}


@pytest.mark.parametrize("line", ["#6 [other 1/2] RUN x", "#6 [builder 1/2] RUN x", ""])
def test_steps_of_what_is_not_ours_are_no_news(line: str) -> None:
    assert BuildLog(["api"]).read(line) is None
