import threading
import time

import pytest

from enhance_cli.engines.once import Once


def test_two_askers_at_once_make_one_value():
    made, values = [], Once()
    began = threading.Barrier(4)

    def make():
        made.append(1)
        time.sleep(0.02)
        return object()

    def ask():
        began.wait()
        found.append(values.get("key", make))

    found = []
    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(made) == 1
    assert len(found) == 4
    assert len(set(map(id, found))) == 1


def test_a_value_may_need_another():
    values = Once()
    assert values.get("sum", lambda: values.get("one", lambda: 1) + 1) == 2
    assert values.get("one", lambda: 7) == 1


def test_what_failed_is_tried_again():
    values = Once()
    with pytest.raises(OSError, match="gone"):
        values.get("key", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert values.get("key", lambda: 3) == 3
