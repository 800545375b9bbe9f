"""Waiting for something real: polls a condition up to a deadline, so that a fast machine is not
held up and a slow one is not misjudged. Nothing in these tests waits for time itself."""
import os
import threading
import time

# Sanitizer builds are several times slower; every deadline is stretched by the same factor.
SLOWER = 4 if any(word in os.environ.get("SEXTANT_BUILD", "") for word in ("asan", "tsan")) else 1
PAUSE_S = 0.02
_never = threading.Event()


def deadline(seconds):
    """The moment, on time.monotonic(), when `seconds` on a plain build have passed."""
    return time.monotonic() + seconds * SLOWER


def pause():
    """Lets others run between two looks."""
    _never.wait(PAUSE_S)


def wait_for(look, seconds=10, what=None):
    """Calls look() until it gives something true, and returns that. An AssertionError or an OSError
    from look() counts as `not yet`; the last one is shown when the time is up."""
    end, last = deadline(seconds), None
    while True:
        try:
            found = look()
            if found:
                return found
            last = f"the last look gave {found!r}"
        except (AssertionError, OSError) as e:
            last = f"the last look raised {type(e).__name__}: {e}"
        if time.monotonic() > end:
            raise TimeoutError(f"{what or getattr(look, '__name__', 'it')} did not happen within "
                               f"{seconds * SLOWER} s; {last}")
        pause()
