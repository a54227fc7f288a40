"""What every test in a browser shares."""

import pytest
from playwright.async_api import expect


@pytest.fixture(autouse=True, scope="session")
def patience() -> None:
    """Gives a page more than Playwright's five seconds: the machine has other tests to run."""
    expect.set_options(timeout=60_000)
